"""Which threshold suits a binary network: scores against it, from one streaming histogram."""

import torch
from torch import Tensor

from fastunet.metrics import scores
from fastunet.metrics._binning import across_processes, place, read, tally
from fastunet.metrics._class_masks import check_sizes
from fastunet.metrics.scores import Score

STEPS = 1024  # a power of two: probability times steps is exact, and so is every comparison


class ThresholdCurve:
    """Confusion counts at the thresholds 0, 1/1024, ... 1023/1024, void left out.

    As in `decide`, a pixel is foreground where its probability is above the threshold; at these
    thresholds the counts are exact.

    >>> curve = ThresholdCurve()
    >>> curve.update(torch.tensor([[[[0.2, 0.4]]]]), torch.tensor([[[0, 1]]]))
    >>> curve.best_threshold()
    0.3994140625
    """

    thresholds: Tensor = torch.arange(STEPS, dtype=torch.float64) / STEPS  # (K,), K = 1024

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self._bins: Tensor | None = None  # (2 * (K + 1) + 2,) int64, as `tally` has them

    def update(
        self,
        probabilities: Tensor,  # (B, 1, H, W) of the foreground
        target: Tensor,  # (B, H, W), 0 or 1
    ) -> None:
        """Add a batch of what `activate` gives. Void pixels of the target are left out.

        Raises `ValueError` where there is more than one channel, and `SizeMismatchError`.
        """
        if probabilities.shape[1] != 1:
            raise ValueError(
                f"Probabilities of {probabilities.shape[1]} classes; only the one channel of a "
                "binary network has a threshold."
            )
        probs = probabilities[:, 0].detach().as_subclass(Tensor).float()
        check_sizes(probs, target)
        target = target.as_subclass(Tensor).long()
        # how many of the thresholds lie below the probability
        below = (probs * STEPS).ceil().long().clamp(0, STEPS)
        n_bins = 2 * (STEPS + 1)
        bins = place(target * (STEPS + 1) + below, target, 2, n_bins)
        bins = tally(bins, n_bins).sum(dim=0)
        self._bins = bins if self._bins is None else self._bins + bins

    def gather(self) -> "ThresholdCurve":
        """The counts of all processes of a distributed run. All processes must call it."""
        whole = ThresholdCurve()
        mine = None if self._bins is None else self._bins.cpu()
        parts = [bins for bins in across_processes(mine) if bins is not None]
        whole._bins = torch.stack(parts).sum(dim=0) if parts else None
        return whole

    @property
    def counts(self) -> Tensor:
        """(K, 2, 2) int64 on the CPU: at each threshold a table whose rows are the truth.

        Raises `MaskValueError` where masks held what is neither 0, 1 nor void.
        """
        if self._bins is None:
            return torch.zeros(STEPS, 2, 2, dtype=torch.int64)
        histogram = read(self._bins, 2).view(2, STEPS + 1)  # rows are the truth
        negative = histogram.cumsum(dim=1)[:, :-1]  # not above the threshold
        positive = histogram.sum(dim=1, keepdim=True) - negative
        return torch.stack([negative, positive], dim=-1).transpose(0, 1)

    def score(
        self,
        score: Score,  # `dice`, `iou`, `precision`, `recall` or `specificity`
    ) -> Tensor:  # (K,) float64
        """The foreground's score at each of `thresholds`."""
        return score(self.counts)[:, 1]

    def best_threshold(self) -> float:
        """The threshold of the highest Dice, pixels of all images taken together.

        Of equals the one nearest to 0.5, of two as near the lower one; 0.5 without foreground in
        the masks.
        """
        dice = self.score(scores.dice).nan_to_num(0)
        best = self.thresholds[dice == dice.max()]
        return best[(best - 0.5).abs().argmin()].item()
