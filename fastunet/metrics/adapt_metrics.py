"""Any metrics as a Learner takes them, each tried on right and on wrong predictions first."""

import copy
import math
import warnings
from types import SimpleNamespace
from typing import Any

import torch
from fastai.learner import AvgMetric, Metric
from fastcore.basics import camel2snake
from fastcore.foundation import L
from torch import Tensor

from fastunet.errors import TrainingError
from fastunet.metrics.foreign import (
    FastaiMetric,
    ForeignMetric,
    PixelMean,
    TorchMetric,
    innermost,
    ours_like,
)

_FASTAI = "fastai.metrics"


def adapt_metrics(
    metrics: object,  # one metric or a list: ours, fastai's, torchmetrics', or functions
    n_out: int,  # channels of the logits; 1 for a binary task
) -> list:
    """What fastai's `Learner` takes as metrics, each of which gives the right number.

    fastai's metrics and functions see (K, C) logits and (K,) class indices of the K pixels that
    count; so do torchmetrics' objects, with probabilities, and the members of a `MetricCollection`.
    Those of `torchmetrics.segmentation` see class indices or one-hot maps, image by image. A
    function of your own, and your own fastai `Metric`, see the logits (B, C, H, W) and the mask
    (B, H, W), void included, as they are.

    Raises `TrainingError` where a metric cannot work for the task; it names ours that does.
    """
    if metrics is None:
        metrics = []
    given = metrics if isinstance(metrics, list | tuple | L) else [metrics]
    adapted = [m for each in given for m in _adapted(each, n_out)]
    taken = [metric.name for metric in adapted if not isinstance(metric, ForeignMetric)]
    for metric in adapted:
        if isinstance(metric, ForeignMetric):  # each column has a name of its own
            name, number = metric.name, 2
            while metric.name in taken:
                metric.name, number = f"{name}_{number}", number + 1
            taken.append(metric.name)
    return adapted


def _adapted(metric: Any, n_out: int) -> list:
    """As what a Learner takes it; several for a collection."""
    if isinstance(metric, type):
        try:
            metric = metric()
        except TypeError as error:
            raise TrainingError(
                f"metrics: {metric.__name__} is a class, which cannot be made without arguments "
                f"({error}). Pass a metric made of it: {metric.__name__}(...)."
            ) from error
    if _is_torchmetrics(metric):
        if any(c.__name__ == "MetricCollection" for c in type(metric).__mro__):
            members = metric.items(keep_base=False)
            return [_checked(TorchMetric(each, n_out, name), n_out) for name, each in members]
        return [_checked(TorchMetric(metric, n_out), n_out)]
    function = metric.func if type(metric) is AvgMetric else metric
    if isinstance(metric, Metric) and function is metric:
        if _is_fastais(metric):
            return [_checked(FastaiMetric(metric, n_out), n_out)]
        return [metric]
    if not callable(function):
        raise TrainingError(
            f"metrics: {metric!r} is no metric. DiceScore(), MeanIoU() or a function of logits and "
            "class indices was expected."
        )
    if innermost(function).__module__ == _FASTAI:
        return [_checked(PixelMean(function), n_out)]
    return [_OwnFunction(function)]


class _OwnFunction(AvgMetric):
    """A function of the user as fastai has it; objects without a name get that of their class."""

    @property
    def name(self) -> str:
        function = innermost(self.func)
        return getattr(function, "__name__", None) or camel2snake(type(function).__name__)


def _is_fastais(metric: Metric) -> bool:
    """Whether fastai itself says what the metric does with a batch."""
    if isinstance(metric, AvgMetric):  # `LossMetric`, which looks at the loss
        return False
    return type(metric).accumulate.__module__ == _FASTAI


def _is_torchmetrics(metric: object) -> bool:
    return any(c.__module__.partition(".")[0] == "torchmetrics" for c in type(metric).__mro__)


def _checked(metric: ForeignMetric, n_out: int) -> ForeignMetric:
    """`metric`, after a look at what it says of right and of wrong predictions."""
    generator = torch.Generator().manual_seed(0)
    classes = max(2, n_out)
    pixels = 128 * math.ceil(classes / 64)  # of every class two at least
    target = torch.randperm(pixels, generator=generator).reshape(2, 8, -1) % classes
    wrong = (target + 1) % classes
    try:
        values = [_try(metric, answer, target, n_out) for answer in (target, wrong)]
    except Exception as error:  # whatever it raises when it is given what it is not made for
        first_line = str(error).strip().partition("\n")[0]
        problem = f"{type(error).__name__}: {first_line}"
    else:
        if values[0] != values[1] and not all(map(math.isnan, values)):
            return metric
        problem = f"it is {values[0]:g} for right and for wrong predictions"
    raise TrainingError(
        f"metrics: {metric.name} does not fit a task of {classes} classes ({problem}). Use "
        f"fastunet's {ours_like(metric.name)}."
    )


def _try(metric: ForeignMetric, answer: Tensor, target: Tensor, n_out: int) -> float:
    channels = [answer == c for c in (range(n_out) if n_out > 1 else [1])]
    logits = (2.0 * torch.stack(channels, dim=1) - 1) * 6
    copied = copy.deepcopy(metric)
    if isinstance(copied, TorchMetric):
        copied.metric.to("cpu")
    batch = SimpleNamespace(
        pred=logits, y=target, yb=(target,), dl=None, to_detach=lambda x: x.detach().cpu()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        copied.reset()
        copied.accumulate(batch)
        return copied.value
