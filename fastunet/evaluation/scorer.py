"""`Scorer`: masks and their truths one by one, an `Evaluation` at the end."""

from collections.abc import Sequence

import numpy as np
import torch

from fastunet._util.text import listing
from fastunet.errors import MaskValueError, OptionError
from fastunet.evaluation.bootstrap import Bootstrap
from fastunet.evaluation.outcomes import Outcomes
from fastunet.evaluation.result import Evaluation
from fastunet.evaluation.score_types import Probabilities
from fastunet.evaluation.serialise import plain
from fastunet.labels import VOID
from fastunet.metrics import scores
from fastunet.metrics._class_masks import check_sizes
from fastunet.metrics.calibration import Calibration
from fastunet.metrics.objects import ObjectCounts, count_objects
from fastunet.metrics.surface_distance import boundary_iou, hausdorff95, surface_dice
from fastunet.metrics.threshold import ThresholdCurve


class Scorer:
    """Counts what it is shown; keeps a few numbers per image, not the masks.

    For masks that come from anywhere: another program, an ensemble, a second annotator.

    >>> scorer = Scorer(["background", "cell"])
    >>> scorer.add("a.png", predicted, truth)
    >>> print(scorer.result("test"))
    """

    def __init__(
        self,
        classes: Sequence[str],  # names, in the order of their index
        *,
        objects: bool = True,  # two classes: count the foreground's objects
        boundary: bool = False,  # measure the outlines
    ):
        if len(classes) < 2:
            raise OptionError(f"{len(classes)} classes; at least two were expected.")
        self.classes = tuple(classes)
        self.boundary = boundary
        self._objects = ObjectCounts() if objects and len(classes) == 2 else None
        self._calibration, self._curve = Calibration(), ThresholdCurve()
        self._has_probabilities: bool | None = None
        self._groups: dict[str, str] = {}  # by name, one for each image
        self._outcomes: list[np.ndarray] = []  # (3, C) int64 each
        self._outlines: list[np.ndarray] = []  # (C, 3) float64 each
        self._confusion = np.zeros((len(classes), len(classes)), np.int64)

    def add(
        self,
        name: str,  # of the image; no two images have the same
        predicted: np.ndarray,  # (H, W) class indices
        truth: np.ndarray,  # (H, W) class indices or `VOID`
        *,
        probabilities: np.ndarray | None = None,  # (C, H, W), or (1, H, W) of the foreground
        group: str = "",  # what is resampled as a whole; "": the image is on its own
    ) -> None:
        """Count an image. Void pixels of the truth are left out.

        Raises `SizeMismatchError` and `MaskValueError`, naming the image, where the masks differ
        in size or hold what is no class, and `OptionError` where the name is taken, or where
        probabilities are of another shape or come with some images only.
        """
        predicted, truth = np.asarray(predicted), np.asarray(truth)
        self._check(name, truth.shape, probabilities)
        table = _confusion(name, predicted, truth, len(self.classes))
        self._has_probabilities = probabilities is not None
        self._groups[name] = group
        self._confusion += table
        self._outcomes.append(np.stack(Outcomes.of(table)))
        if probabilities is not None:
            batch = torch.from_numpy(probabilities)[None], torch.from_numpy(truth)[None]
            self._calibration.update(*batch)
            if len(self.classes) == 2:
                self._curve.update(*batch)
        if self._objects is not None:
            self._objects += count_objects(predicted, truth)
        if self.boundary:
            measures = (hausdorff95, surface_dice, boundary_iou)
            each = [measure(predicted, truth, len(self.classes)) for measure in measures]
            outlines = np.stack(each, axis=1)
            self._outlines.append(np.where(np.isinf(outlines), np.nan, outlines))

    def result(
        self,
        split: str = "all",  # what the images are, for the report
        threshold: float | None = None,  # by which a binary model decided
        bootstrap: Bootstrap | None = None,  # how intervals are made; None: as usual
    ) -> Evaluation:
        """What the images scored so far. More can be added afterwards."""
        n, c = len(self._groups), len(self.classes)
        outcomes = np.array(self._outcomes, np.int64).reshape(n, 3, c)
        return Evaluation(
            split=split,
            classes=self.classes,
            names=tuple(self._groups),
            groups=tuple(self._groups.values()),
            outcomes=Outcomes(*outcomes.swapaxes(0, 1)),
            confusion=self._confusion.copy(),
            threshold=threshold,
            probabilities=self._probabilities() if self._has_probabilities else None,
            objects=self._objects,
            boundary=np.array(self._outlines).reshape(n, c, 3) if self.boundary else None,
            bootstrap=bootstrap or Bootstrap(),
        )

    def _check(self, name: str, size: tuple[int, ...], probabilities: np.ndarray | None) -> None:
        if name in self._groups:
            raise OptionError(f"{name} was added already; each image needs a name of its own.")
        if self._has_probabilities not in (None, probabilities is not None):
            raise OptionError(f"{name}: probabilities were expected with all images, or with none.")
        expected = (1 if len(self.classes) == 2 else len(self.classes), *size)
        if probabilities is not None and probabilities.shape != expected:
            raise OptionError(
                f"{name}: probabilities of shape {probabilities.shape}; {expected} was expected."
            )

    def _probabilities(self) -> Probabilities:
        bins = self._calibration.reliability()
        curve = self._curve.score(scores.dice) if len(self.classes) == 2 else torch.empty(0)
        return Probabilities(
            calibration_error=self._calibration.expected_error(),
            brier=self._calibration.brier(),
            bin_pixels=tuple(bins.pixels.tolist()),
            bin_confidence=tuple(plain(bins.confidence.tolist())),
            bin_accuracy=tuple(plain(bins.accuracy.tolist())),
            threshold_dice=tuple(plain(curve.tolist())),
        )


def _confusion(name: str, predicted: np.ndarray, truth: np.ndarray, n_classes: int) -> np.ndarray:
    """(C, C) int64 pixels of an image, rows are the truth; what is wrong is told with its name.

    One `bincount` of 16-bit cells: ten times as fast on a CPU as counts that stay on a device.
    """
    check_sizes(predicted.shape, truth.shape, name)
    wrong = (truth < 0) | ((truth >= n_classes) & (truth != VOID))
    unknown = {*predicted[(predicted < 0) | (predicted >= n_classes)], *truth[wrong]}
    if unknown:
        raise MaskValueError(
            f"{name} holds {listing(sorted(unknown), 5)}: class indices 0 to {n_classes - 1} "
            f"were expected, or {VOID} for void in the mask. Read masks with a MaskCodec."
        )
    cells = truth.astype(np.uint16) * n_classes + predicted.astype(np.uint16)
    counts = np.bincount(cells.ravel(), minlength=n_classes**2)
    return counts[: n_classes**2].reshape(n_classes, n_classes)
