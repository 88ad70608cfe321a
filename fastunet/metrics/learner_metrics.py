"""fastai metrics: each a score of one streaming `Confusion`, for the whole validation set.

Metrics that share a `Confusion` count each batch once. In a distributed run the counts of all
processes are added up, and the samples with which fastai's loader fills up its last round are left
out, so the figures are those of one process.
"""

from collections.abc import Sequence

from fastai.learner import Learner, Metric
from torch import Tensor, nn

from fastunet.losses import CombinedLoss
from fastunet.metrics import scores
from fastunet.metrics.confusion import Confusion
from fastunet.metrics.scores import Average, Empty, Score


class _ConfusionMetric(Metric):
    """Counts; a subclass says what number it reads from the counts."""

    def __init__(self, confusion: Confusion | None = None):
        self.confusion = confusion or Confusion()

    def reset(self):
        self.confusion.reset()

    def accumulate(self, learn):
        logits, threshold = finest_logits(learn), getattr(learn, "threshold", 0.5)
        own = own_samples(learn)
        self.confusion.update_from_logits(logits, learn.yb[0], own.stop, threshold, own.start or 0)


class _ClassMean(_ConfusionMetric):
    """A score by class as one number; a subclass says which."""

    score: Score
    title: str  # the column's name, to which another reduction than the usual is added

    def __init__(
        self,
        average: Average = "macro",  # how the classes, and images, become one number
        include_background: bool | None = None,  # None: only for more than two classes
        empty: Empty = "skip",  # "per_image": an image without foreground, "one" counts it as right
        confusion: Confusion | None = None,  # share the count with other metrics
    ):
        super().__init__(confusion)
        scores.check_reduction(average, empty)
        self.average, self.include_background, self.empty = average, include_background, empty
        if average == "per_image":
            self.confusion.per_image = True

    @property
    def name(self) -> str:
        return self.title if self.average == "macro" else f"{self.title}_{self.average}"

    @property
    def value(self) -> float:
        counted = self.confusion.gather()
        return counted.mean(self.score, self.average, self.include_background, self.empty)


class DiceScore(_ClassMean):
    """Dice (F1) score of the whole validation set, from 0 to 1.

    Binary: of the foreground. Multiclass: the mean over all classes, class 0 included. With
    `include_background` both take class 0 in or leave it out. A class that is neither in the masks
    nor predicted is left out of the mean; where all are, the value is nan. Other reductions, and
    what an image without foreground counts: see `fastunet.metrics.scores.mean_score`.
    scikit-learn: `f1_score(average="macro")` over the same classes.
    """

    score, title = staticmethod(scores.dice), "dice"


class MeanIoU(_ClassMean):
    """Intersection over union (Jaccard index) of the whole validation set, from 0 to 1.

    Classes and absent classes as in `DiceScore`: binary means the foreground's IoU unless
    `include_background=True`. scikit-learn: `jaccard_score(average="macro")`.
    """

    score, title = staticmethod(scores.iou), "mean_iou"


class PixelPrecision(_ClassMean):
    """How much of what is predicted is right; classes as in `DiceScore`."""

    score, title = staticmethod(scores.precision), "pixel_precision"


class PixelRecall(_ClassMean):
    """How much of the truth is found (sensitivity); classes as in `DiceScore`."""

    score, title = staticmethod(scores.recall), "pixel_recall"


class PixelSpecificity(_ClassMean):
    """How much of what is not of a class is left alone; classes as in `DiceScore`."""

    score, title = staticmethod(scores.specificity), "pixel_specificity"


class PixelAccuracy(_ConfusionMetric):
    """The share of pixels of the whole validation set that are right, background included."""

    name = "pixel_accuracy"

    @property
    def value(self) -> float:
        return self.confusion.gather().accuracy()


class ClassIoU(_ConfusionMetric):
    """The intersection over union of one class; nan where it is neither there nor predicted."""

    def __init__(
        self,
        index: int,  # of the class
        name: str | None = None,  # of the class, for the column; None: its index
        confusion: Confusion | None = None,  # share the count with other metrics
    ):
        super().__init__(confusion)
        self.index, self.class_name = index, name

    @property
    def name(self) -> str:
        return f"iou_{self.index if self.class_name is None else self.class_name}"

    @property
    def value(self) -> float:
        return self.confusion.gather().iou()[self.index].item()


class LossTerm(Metric):
    """The mean over the validation images of one term of a `CombinedLoss`, before weighting."""

    def __init__(
        self,
        term: str,  # its name among the loss's `terms`
    ):
        self.term = term

    @property
    def name(self) -> str:
        return f"{self.term}_loss"

    def reset(self):
        self.total, self.images = 0.0, 0

    def accumulate(self, learn):
        size = len(learn.yb[0])
        self.total = self.total + learn.loss_func.terms[self.term] * size
        self.images += size

    @property
    def value(self) -> float | None:
        return float(self.total) / self.images if self.images else None


def loss_terms(
    loss: nn.Module,  # any loss
) -> list[Metric]:
    """A `LossTerm` for each term of a `CombinedLoss` of several; for other losses none."""
    terms = list(loss.weights) if isinstance(loss, CombinedLoss) else []
    return [LossTerm(term) for term in terms] if len(terms) > 1 else []


def default_metrics(confusion: Confusion | None = None) -> list[Metric]:
    """Dice, IoU and accuracy on one shared count."""
    confusion = confusion or Confusion()
    return [metric(confusion=confusion) for metric in (DiceScore, MeanIoU, PixelAccuracy)]


def class_metrics(
    classes: Sequence[str],  # names in the order of their index, as `dls.codec.classes`
    confusion: Confusion | None = None,  # share the count with other metrics
) -> list[Metric]:
    """The intersection over union of each class, one column per class, on one shared count."""
    confusion = confusion or Confusion()
    return [ClassIoU(index, name, confusion) for index, name in enumerate(classes)]


def finest_logits(learn: Learner) -> Tensor:
    """The batch's logits; of deep supervision, in training, those of the finest level."""
    return learn.pred[0] if isinstance(learn.pred, list) else learn.pred


def own_samples(learn: Learner) -> slice:
    """Which samples of the batch this process counts, where counts are added up.

    With `DataParallel` every process has the whole batch: each counts the part that it predicted.
    """
    part = getattr(learn, "own_part", None)
    return true_samples(learn) if part is None else part


def true_samples(learn: Learner) -> slice:
    """Which samples of the batch are no repeats.

    fastai's `DistributedDL` gives each rank an equal run of the samples, and repeats the first ones
    after the last to make the runs equal: what lies behind its `n` samples is a repeat.
    """
    loader = learn.dl
    if not hasattr(loader, "n_padded"):
        return slice(None)
    size = len(learn.yb[0])
    start = loader.rank * loader.n_padded // loader.world_size + loader.i - size
    return slice(min(max(loader.n - start, 0), size))
