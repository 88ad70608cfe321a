"""Which threshold suits a binary network: scores against it, from one streaming histogram."""

import torch
from torch import Tensor

from fastunet.errors import OptionError
from fastunet.metrics import scores
from fastunet.metrics._binning import Bins, across_processes
from fastunet.metrics._class_masks import check_sizes
from fastunet.metrics.scores import Score

STEPS = 1024  # a power of two: probability times steps is exact, and so is every comparison
_BINS = Bins(2 * (STEPS + 1), n_classes=2)  # true class, and how many thresholds lie below


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
        self._counts: Tensor | None = None  # (bins,) int64

    def update(
        self,
        probabilities: Tensor,  # (B, 1, H, W) of the foreground
        target: Tensor,  # (B, H, W), 0 or 1
    ) -> None:
        """Add a batch of what `activate` gives. Void pixels of the target are left out.

        Raises `ValueError` where there is more than one channel, and `SizeMismatchError`.
        """
        if probabilities.shape[1] != 1:
            raise OptionError(
                f"Probabilities of {probabilities.shape[1]} classes; only the one channel of a "
                "binary network has a threshold."
            )
        probs = probabilities[:, 0].detach().as_subclass(Tensor).float()
        check_sizes(probs.shape, target.shape)
        target = target.as_subclass(Tensor).long()
        below = (probs * STEPS).ceil().long().clamp(0, STEPS)
        counts = _BINS.count(_BINS.assign(target * (STEPS + 1) + below, target)).sum(dim=0)
        self._counts = counts if self._counts is None else self._counts + counts

    def gather(self) -> "ThresholdCurve":
        """The counts of all processes of a distributed run. All processes must call it."""
        whole = ThresholdCurve()
        mine = None if self._counts is None else self._counts.cpu()
        every = [counts for counts in across_processes(mine) if counts is not None]
        whole._counts = torch.stack(every).sum(dim=0) if every else None
        return whole

    @property
    def counts(self) -> Tensor:
        """(K, 2, 2) int64 on the CPU: at each threshold a table whose rows are the truth.

        Raises `MaskValueError` where masks held what is neither 0, 1 nor void.
        """
        if self._counts is None:
            return torch.zeros(STEPS, 2, 2, dtype=torch.int64)
        histogram = _BINS.read(self._counts).view(2, STEPS + 1)  # rows are the truth
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
