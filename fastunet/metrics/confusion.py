"""One streaming confusion count: what a number means does not depend on the batches.

Pixels are counted by (true class, predicted class) on the device where they are, void left out;
memory does not grow with the pixels. `fastunet.metrics.scores` makes numbers of the counts.
"""

import weakref

import torch
from torch import Tensor

from fastunet.logits import activate, decide
from fastunet.metrics import scores
from fastunet.metrics._binning import Bins, across_processes, processes
from fastunet.metrics._class_masks import check_sizes
from fastunet.metrics.scores import Average, Empty, Score


class Confusion:
    """Pixels by (true class, predicted class), summed over everything it was shown.

    Values that are neither a class nor void are noticed when the counts are read, so that no batch
    waits for the device: every reader raises `MaskValueError` then.

    >>> confusion = Confusion()
    >>> confusion.update(torch.tensor([[0, 1]]), torch.tensor([[1, 1]]), n_classes=2)
    >>> confusion.counts.tolist()
    [[0, 0], [1, 1]]
    """

    def __init__(
        self,
        per_image: bool = False,  # keep one (C, C) per image too: 8 C^2 bytes each, on the device
    ):
        self.per_image = per_image
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self._bins = Bins(2 * 2, n_classes=2)  # true class * C + predicted class
        self._total: Tensor | None = None  # (1, bins) int64
        self._images: list[Tensor] = []  # (B, bins) int64 each
        self._seen: weakref.ref | None = None  # the logits that were counted last
        self._gathered: Confusion | None = None

    def update(
        self,
        predicted: Tensor,  # (B, H, W) class indices, or (H, W) of one image
        target: Tensor,  # class indices of the same shape
        n_classes: int,
    ) -> None:
        """Add a batch. Void pixels of the target are left out.

        Raises `SizeMismatchError` where the shapes differ.
        """
        check_sizes(predicted.shape, target.shape)
        if target.ndim < 3:
            predicted, target = predicted[None], target[None]
        predicted, target = predicted.long(), target.long()
        known = (predicted >= 0) & (predicted < n_classes)
        target = torch.where(known, target, -1)  # no class: it will be noticed
        bins = Bins(n_classes**2, n_classes)
        self._add(bins, bins.count(bins.assign(target * n_classes + predicted, target)))

    def update_from_logits(
        self,
        logits: Tensor,  # (B, C, H, W), one channel for binary
        target: Tensor,  # (B, H, W) class indices
        first: int | None = None,  # count images before this one; None: all
        threshold: float = 0.5,  # binary: foreground is what is more probable than this
        start: int = 0,  # count from this image on
    ) -> None:
        """Add a batch; the same logits a second time are passed over."""
        if self._seen is not None and self._seen() is logits:
            return
        self._seen = weakref.ref(logits)
        plain = logits.detach().as_subclass(Tensor)[start:first]
        truth = target.as_subclass(Tensor)[start:first]
        scores = activate(plain.float()) if plain.shape[1] == 1 else plain
        self.update(decide(scores, threshold), truth, max(2, plain.shape[1]))

    def gather(self) -> "Confusion":
        """The counts of all processes of a distributed run, added up; itself where there is one.

        All processes must call it. Images are in the order of the ranks. It is done once: until
        the next update the same counts are given again.
        """
        if processes() == 1:
            return self
        if self._gathered is None:
            self._gathered = Confusion(self.per_image)
            for bins, rows in across_processes((self._bins, self._rows())):
                if rows is not None:
                    self._gathered._add(bins, rows)
        return self._gathered

    @property
    def counts(self) -> Tensor:
        """(C, C) int64 on the CPU, rows are the truth; zeros (2, 2) where nothing was counted."""
        if self._total is None:
            return torch.zeros(2, 2, dtype=torch.int64)
        return self._tables(self._total)[0]

    @property
    def image_counts(self) -> Tensor:
        """(N, C, C) int64 on the CPU, one table per image, in the order that they came.

        Raises `ValueError` where images were not kept.
        """
        if not self.per_image:
            raise ValueError("The images were added up; make it Confusion(per_image=True).")
        if not self._images:
            return torch.zeros(0, 2, 2, dtype=torch.int64)
        return self._tables(torch.cat(self._images))

    def dice(self) -> Tensor:
        """(C,) float64, see `scores.dice`."""
        return scores.dice(self.counts)

    def iou(self) -> Tensor:
        """(C,) float64, see `scores.iou`."""
        return scores.iou(self.counts)

    def accuracy(self) -> float:
        """The share of pixels that are right; nan where none were counted."""
        return scores.accuracy(self.counts).item()

    def mean(
        self,
        score: Score,  # of `fastunet.metrics.scores`, by class
        average: Average = "macro",  # "per_image" needs `per_image=True`
        include_background: bool | None = None,  # None: only for more than two classes
        empty: Empty = "skip",  # what an image without any of the classes counts, "per_image"
    ) -> float:
        """One number, see `scores.mean_score`."""
        counts = self.image_counts if average == "per_image" else self.counts
        return scores.mean_score(score, counts, average, include_background, empty).item()

    def _add(self, bins: Bins, rows: Tensor) -> None:  # (B, bins)
        self._bins = bins
        batch = rows.sum(dim=0, keepdim=True)
        self._total = batch if self._total is None else self._total + batch
        if self.per_image:
            self._images.append(rows)
        self._gathered = None

    def _rows(self) -> Tensor | None:  # (N, bins) on the CPU, or one row of the total
        if self._total is None:
            return None
        return (torch.cat(self._images) if self.per_image else self._total).cpu()

    def _tables(self, rows: Tensor) -> Tensor:  # (N, bins) to (N, C, C)
        n_classes = self._bins.n_classes
        return self._bins.read(rows).view(-1, n_classes, n_classes)

    def __getstate__(self):  # a weak reference cannot be pickled
        return self.__dict__ | {"_seen": None}
