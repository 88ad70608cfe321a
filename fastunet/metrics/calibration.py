"""Whether probabilities mean what they say: calibration error and Brier score, streaming.

Sums are kept as whole numbers, so they do not depend on the order or the batches, and devices
without float64 give the same.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fastunet.errors import OptionError
from fastunet.metrics._binning import Bins, across_processes
from fastunet.metrics._class_masks import check_sizes

UNIT = 2**28  # steps of 1: as fine as float32 at 1/16, and 3e10 pixels fit into int64


@dataclass(frozen=True)
class Reliability:
    """The bins of a reliability diagram, (n_bins + 1,) each; an empty bin has nan twice."""

    pixels: Tensor  # int64, how many fell into the bin
    confidence: Tensor  # float64, their mean confidence
    accuracy: Tensor  # float64, the share of them that is right


class Calibration:
    """Expected calibration error and Brier score of everything it was shown, void left out.

    The confidence of a pixel is the probability of the class that is predicted for it: for binary
    the larger of p and 1 - p. Bins are of equal width and hold their lower edge; a confidence of
    exactly 1 has a bin of its own, as in torchmetrics.

    torchmetrics: `CalibrationError(task="multiclass", norm="l1")`, for binary of (1 - p, p); its
    binary task bins p itself. scikit-learn: `brier_score_loss`.
    """

    def __init__(
        self,
        n_bins: int = 15,  # as in Guo et al. 2017, https://arxiv.org/abs/1706.04599
    ):
        if n_bins < 1:
            raise OptionError(f"n_bins={n_bins}; at least 1 was expected.")
        self.n_bins = n_bins
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self._bins = Bins(self.n_bins + 1, n_classes=2)  # and the one of confidence 1
        # rows: pixels, those that are right, confidence and squared error in steps of 1 / UNIT
        self._sums: Tensor | None = None  # (4, bins) int64

    def update(
        self,
        probabilities: Tensor,  # (B, C, H, W), the foreground's for C = 1
        target: Tensor,  # (B, H, W) class indices
    ) -> None:
        """Add a batch of what `activate` gives. Void pixels of the target are left out.

        Raises `SizeMismatchError` where the two differ in size.
        """
        check_sizes(probabilities[:, 0].shape, target.shape)
        probs = probabilities.detach().as_subclass(Tensor).float()
        target = target.as_subclass(Tensor).long()
        self._bins = bins = Bins(self.n_bins + 1, max(2, probs.shape[1]))
        known = target.clamp(0, bins.n_classes - 1)[:, None]  # the others have bins of their own
        if probs.shape[1] == 1:
            error = (probs - known).square()
            confidence, predicted = torch.where(probs > 0.5, probs, 1 - probs), probs > 0.5
        else:
            error = probs.scatter_add(1, known, -torch.ones_like(probs[:, :1])).square()
            confidence, predicted = probs.max(dim=1, keepdim=True)

        edges = torch.linspace(0, 1, self.n_bins + 1, device=probs.device)
        each = bins.assign(torch.bucketize(confidence[:, 0], edges, right=True) - 1, target)
        right = (predicted == known).long().flatten(1)
        rows = [None, right, _whole(confidence), _whole(error.sum(dim=1))]
        sums = torch.stack([bins.count(each, row).sum(dim=0) for row in rows])
        self._sums = sums if self._sums is None else self._sums + sums

    def gather(self) -> "Calibration":
        """The sums of all processes of a distributed run. All processes must call it."""
        whole = Calibration(self.n_bins)
        mine = None if self._sums is None else self._sums.cpu()
        for bins, sums in across_processes((self._bins, mine)):
            if sums is not None:
                whole._bins = bins
                whole._sums = sums if whole._sums is None else whole._sums + sums
        return whole

    def reliability(self) -> Reliability:
        """Confidence against accuracy, bin by bin.

        Raises `MaskValueError` where masks held what is neither a class nor void.
        """
        pixels, right, confidence, _ = self._read()
        return Reliability(pixels, confidence / UNIT / pixels, right.double() / pixels)

    def expected_error(self) -> float:
        """The mean over the pixels of |confidence - accuracy| of their bin; nan without pixels."""
        pixels, right, confidence, _ = self._read()
        return ((confidence.double() / UNIT - right).abs().sum() / pixels.sum()).item()

    def brier(self) -> float:
        """The mean over the pixels of the squared error of the probabilities; nan without pixels.

        Binary: of (p - t)^2, from 0 to 1. Multiclass: of the sum over the classes of
        (p_c - t_c)^2, from 0 to 2. Brier 1950,
        https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
        """
        pixels, _, _, error = self._read()
        return (error.sum() / UNIT / pixels.sum()).item()

    def _read(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The rows of the sums, (n_bins + 1,) int64 each."""
        sums = self._sums
        if sums is None:
            sums = torch.zeros(4, self._bins.number + 2, dtype=torch.int64)
        pixels = self._bins.read(sums[0])
        right, confidence, error = sums[1:, : self._bins.number].cpu()
        return pixels, right, confidence, error


def _whole(values: Tensor) -> Tensor:
    """(B, ...) float32 from 0 to 2 as (B, N) int64 steps of 1 / UNIT."""
    return (values * UNIT).round().long().flatten(1)
