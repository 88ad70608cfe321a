"""What logits mean: binary is one channel and a sigmoid, multiclass C channels and a softmax.

`activate` and `decide` say so once, for losses, metrics, fastai and inference alike.
"""

from torch import Tensor


def activate(logits: Tensor) -> Tensor:
    """(B, C, H, W) logits to probabilities: sigmoid for one channel, softmax for more."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)


def decide(scores: Tensor, threshold: float = 0.5) -> Tensor:
    """(B, C, H, W) probabilities to (B, H, W) int64 class indices.

    One channel: foreground above `threshold` (0 where logits are given). More: the largest.
    """
    if scores.shape[1] == 1:
        return (scores[:, 0] > threshold).long()
    return scores.max(dim=1).indices  # what `argmax` gives, several times faster on a CPU
