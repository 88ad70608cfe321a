"""Metrics of fastai and torchmetrics see what they are made for: two or more classes, no void.

On a binary task the network has one channel x, on which fastai's metrics give the same number for
every model: they see the two channels (0, x) instead. Pixels that are void are taken out.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from fastai.learner import Metric
from fastcore.basics import camel2snake
from torch import Tensor

from fastunet.errors import TrainingError
from fastunet.labels import VOID
from fastunet.logits import decide
from fastunet.metrics.learner_metrics import finest_logits, true_samples

# a word in a metric's name -> ours that says the same
_OURS = {
    "dice": "DiceScore()",
    "f1": "DiceScore()",
    "jaccard": "MeanIoU()",
    "iou": "MeanIoU()",
    "precision": "PixelPrecision()",
    "recall": "PixelRecall()",
    "specificity": "PixelSpecificity()",
    "acc": "PixelAccuracy()",
}


class ForeignMetric(Metric):
    """A metric of another kind; a subclass says what that is given of each batch."""

    higher_is_better: bool | None = None  # None: as the name suggests
    decides: bool = True  # it compares classes: what the learner's threshold decides, binary

    name: str = ""  # fastai's is a property

    def __init__(self, name: str):
        self.name = name
        self.seen = False

    def reset(self):
        self.seen = False

    def accumulate(self, learn):
        samples = true_samples(learn)
        logits = finest_logits(learn)[samples].detach()
        if self.decides and logits.shape[1] == 1:
            logits = _about_threshold(logits, getattr(learn, "threshold", 0.5))
        target = learn.yb[0][samples].as_subclass(Tensor)
        counts = target != VOID
        if counts.any():
            self.seen = True
            self.add(logits, target, counts, learn)

    def add(
        self,
        logits: Tensor,  # (B, C, H, W)
        target: Tensor,  # (B, H, W) class indices
        counts: Tensor,  # (B, H, W) bool: not void
        learn,
    ) -> None:
        """Count a batch in which some pixels count."""
        raise NotImplementedError

    def compute(self) -> Any:
        """One number, or what can be made one; None where there is none."""
        raise NotImplementedError

    @property
    def value(self) -> float:
        """The number; nan where nothing was counted, or the metric gives none."""
        value = self.compute() if self.seen else None
        if isinstance(value, list | tuple | dict) or (isinstance(value, Tensor) and value.ndim):
            raise TypeError('it gives several numbers; one is needed, as average="macro" makes it')
        return math.nan if value is None else float(value)


class FastaiMetric(ForeignMetric):
    """One of fastai's `Metric` objects, on the pixels that count."""

    def __init__(self, metric: Metric, n_out: int):
        super().__init__(metric.name)
        if n_out > 1 and any(c.__name__ == "Dice" for c in type(metric).__mro__):
            raise TrainingError(
                f"metrics: fastai's {type(metric).__name__} is for two classes; there are {n_out}, "
                f"whose indices it would multiply. Use fastunet's {ours_like(metric.name)}."
            )
        self.metric = metric

    def reset(self):
        super().reset()
        self.metric.reset()

    def add(self, logits, target, counts, learn):
        self.metric.accumulate(_Pixels(learn, *_counting(logits, target, counts)))

    def compute(self):
        return self.metric.value


class PixelMean(ForeignMetric):
    """A function of fastai that gives a mean over pixels, such as `accuracy`, over all that count.

    fastai averages its values over the batches, however few pixels count in each.
    """

    def __init__(self, function: Callable):
        name = innermost(function).__name__
        super().__init__(name)
        self.function = function
        self.foreground = name == "foreground_acc"

    def reset(self):
        super().reset()
        self.total, self.pixels = 0.0, 0

    def add(self, logits, target, counts, learn):
        logits, target = _counting(logits, target, counts)
        if self.foreground:  # is a mean over these pixels only
            known = target != getattr(self.function, "keywords", {}).get("bkg_idx", 0)
            logits, target = logits[known], target[known][:, None]
        if len(target):
            self.total = self.total + self.function(logits, target).detach() * len(target)
            self.pixels += len(target)

    def compute(self):
        return self.total / self.pixels if self.pixels else None


class TorchMetric(ForeignMetric):
    """A metric of torchmetrics: of `classification` on pixels, of `segmentation` on images."""

    def __init__(self, metric, n_out: int, name: str | None = None):
        super().__init__(camel2snake((name or type(metric).__name__).replace("IoU", "Iou")))
        self.metric = metric
        kinds = [_kind(c) for c in type(metric).__mro__]
        self.kind = next(filter(None, kinds), None)
        self.higher_is_better = metric.higher_is_better
        # areas under curves and calibration have none
        self.decides = self.kind != "Binary" or hasattr(metric, "threshold")
        classes = max(2, n_out)
        number = getattr(metric, "num_classes", None)
        alone = self.kind == "segmentation" and n_out == number == 1  # the foreground's channel
        if self.kind not in ("Binary", "Multiclass", "segmentation"):
            problem = "fastunet does not know what it is to be given"
        elif self.kind == "Binary" and n_out > 1:
            problem = f"it is for two classes, there are {classes}"
        elif number not in (None, classes) and not alone:
            problem = f"it has num_classes={number}, there are {classes}"
        else:
            return
        raise TrainingError(
            f"metrics: {type(metric).__name__} of torchmetrics: {problem}. Use "
            f"fastunet's {ours_like(self.name)}, or a metric of torchmetrics.classification for "
            f"{'two classes (Binary...)' if n_out == 1 else f'{classes} classes (Multiclass...)'}."
        )

    def reset(self):
        super().reset()
        self.metric.reset()

    def add(self, logits, target, counts, learn):
        if self.metric.device != logits.device:
            self.metric.to(logits.device)
        if self.kind == "segmentation":
            for image in zip(decide(logits, 0), target, counts, strict=True):
                if image[2].any():
                    self._add_image(*image, max(2, logits.shape[1]))
            return
        logits, target = _counting(logits, target, counts)
        probs = logits.softmax(dim=1)  # (K, C), two columns for binary
        self.metric.update(probs[:, 1] if self.kind == "Binary" else probs, target)

    def _add_image(self, predicted: Tensor, target: Tensor, counts: Tensor, classes: int):
        if "Hausdorff" in type(self.metric).__name__:  # it needs the shape: void is background
            pair = [each.masked_fill(~counts, 0)[None] for each in (predicted, target)]
        else:
            pair = [each[counts][None] for each in (predicted, target)]
        wanted = getattr(self.metric, "input_format", "one-hot")
        one_hot = {"one-hot": 2, "mixed": 1, "index": 0}[wanted]  # how many of the two
        for i in range(one_hot):
            maps = torch.nn.functional.one_hot(pair[i], classes).movedim(-1, 1)
            pair[i] = maps[:, 1:] if self.metric.num_classes == 1 else maps
        self.metric.update(*pair)

    def compute(self):
        return self.metric.compute()


class _Pixels:
    """A learner whose batch is (K, C) logits and (K,) class indices; all else is its own."""

    def __init__(self, learn, logits: Tensor, target: Tensor):
        self._learn = learn
        self.pred, self.y, self.yb = logits, target, (target,)

    def __getattr__(self, name: str):
        return getattr(self._learn, name)


def _about_threshold(logits: Tensor, threshold: float) -> Tensor:
    """Logits (B, 1, H, W) moved so that those above 0 are what is more probable than `threshold`.

    These metrics decide at a probability of 0.5.
    """
    if threshold == 0.5:
        return logits
    return logits - (math.log(threshold / (1 - threshold)) if threshold else -math.inf)


def _counting(logits: Tensor, target: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """(K, C) logits and (K,) class indices of the pixels that count; C is 2 for binary."""
    pixels = logits.movedim(1, -1)[counts]
    if pixels.shape[1] == 1:
        pixels = torch.cat([torch.zeros_like(pixels), pixels], dim=1)
    return pixels, target[counts]


def innermost(function: Callable) -> Callable:
    """The function inside partial ones."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _kind(cls: type) -> str | None:
    if cls.__module__.startswith("torchmetrics.segmentation"):
        return "segmentation"
    if cls.__module__.startswith("torchmetrics.classification"):
        prefixes = ("Binary", "Multiclass", "Multilabel")
        return next((p for p in prefixes if cls.__name__.startswith(p)), None)
    return None


def ours_like(name: str) -> str:
    """Our metric that says what one of that name does, as it is typed."""
    return next((ours for word, ours in _OURS.items() if word in name), "DiceScore() or MeanIoU()")
