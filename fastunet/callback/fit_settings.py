"""What a fit is refused for before its first batch, and the learning rates that it plans."""

import math
from collections.abc import Callable

import numpy as np
from fastai.callback.mixup import MixHandler, MixUp
from fastai.callback.schedule import ParamScheduler
from fastai.learner import Learner

_TOO_HIGH = 1e30  # a rate that overflows in the optimizer's float32
_POSITIONS = [number / 20 for number in range(21)]  # in a schedule, where its rate is asked for


def refusal(learn: Learner) -> str:
    """Why the fit that begins cannot be done; "" where it can."""
    return _refused_mixing(learn) or _refused_rates(planned_rates(learn))


def planned_rates(learn: Learner) -> np.ndarray:
    """(N,) learning rates of the fit that begins: of every group, at places all over its schedule.

    nan where a schedule gives no number.
    """
    planned = [hyper["lr"] for hyper in learn.opt.hypers]
    for cb in learn.cbs:
        if isinstance(cb, ParamScheduler) and "lr" in cb.scheds:
            planned = [_rate_at(cb.scheds["lr"], position) for position in _POSITIONS]
    return np.concatenate([np.atleast_1d(np.asarray(rate, float)) for rate in planned])


def _refused_rates(rates: np.ndarray) -> str:
    if np.isfinite(rates).all() and rates.min() >= 0 and 0 < rates.max() < _TOO_HIGH:
        return ""
    worst = rates[~np.isfinite(rates) | (rates <= 0) | (rates >= _TOO_HIGH)][0]
    return (
        f"The learning rate is {worst:g}; a small number above 0, such as 0.003, was "
        "expected. lr_find (--lr auto) suggests one."
    )


def _refused_mixing(learn: Learner) -> str:
    for cb in learn.cbs:
        if isinstance(cb, MixHandler) and not isinstance(cb, MixUp):
            return (
                f"{type(cb).__name__} pastes parts of one image into another, and mixes the "
                "masks as if the images were blended: segmentation would learn wrong masks. "
                "MixUp works."
            )
        if isinstance(cb, MixUp) and learn.dls.train.bs == 1:
            return "MixUp blends the images of a batch: choose a batch size above 1."
    return ""


def _rate_at(schedule: Callable[[float], object], position: float) -> object:
    """What a schedule of fastai gives there; nan for an exponential one from 0 or below."""
    try:
        with np.errstate(all="ignore"):
            rate = schedule(float(position))
    except ZeroDivisionError:
        return math.nan
    return math.nan if isinstance(rate, complex) else rate
