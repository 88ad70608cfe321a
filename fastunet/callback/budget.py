"""A one-cycle that fits a wall-clock budget: measure the first steps, then choose its length."""

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch
from fastai.callback.core import Callback, CancelTrainException, CancelValidException
from fastai.data.core import DataLoaders
from fastai.learner import Learner

_WARM_UP, _TIMED = 3, 8  # batches
_RESERVE = 0.05  # of the time, for what happens between batches


@dataclass(frozen=True)
class Timing:
    """Seconds per batch, as measured."""

    train: float
    valid: float


@dataclass(frozen=True)
class Schedule:
    """How long to train: epochs, each over a part of the training batches drawn anew."""

    epochs: int
    batches: int  # per epoch
    seconds: float  # what that should take


class StepTimer(Callback):
    """Note when training batches end, cancel the rest, and skip validation."""

    order = 70  # after everything that belongs to a batch

    def before_fit(self):
        self.ends = []

    def before_validate(self):
        raise CancelValidException

    def after_batch(self):
        _wait_for(self.loss.device)
        self.ends.append(time.perf_counter())
        if len(self.ends) >= _WARM_UP + _TIMED:
            raise CancelTrainException


def measure(learn: Learner) -> Timing:
    """Time the learner's own loop on its own data; weights and statistics stay as they were."""
    timer = StepTimer()
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    epochs = math.ceil((_WARM_UP + _TIMED) / len(learn.dls.train))
    with learn.no_logging(), learn.no_bar():
        Learner.fit(learn, epochs, lr=0.0, cbs=timer)
        batch = learn.dls.valid.one_batch()
        for _ in range(2):  # the first time warms up
            start = time.perf_counter()
            learn.validate(dl=[batch])
            _wait_for(batch[0].device)
            valid = time.perf_counter() - start
    learn.model.load_state_dict(before)
    learn.opt.clear_state()
    steps = [end - start for start, end in pairwise(timer.ends)]
    return Timing(median(steps[_WARM_UP - 1 :]), valid)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def schedule(
    timing: Timing,
    seconds: float,  # wall clock, training and validation together
    train_batches: int,  # of one pass over the training part
    valid_batches: int,  # of one pass over the validation part
) -> Schedule:
    """The longest training that fits; its epochs are shortened evenly so that they fill the time.

    At least one batch and one validation, even where they take longer.
    """
    seconds *= 1 - _RESERVE
    validation = valid_batches * timing.valid
    passes = seconds / (train_batches * timing.train + validation)
    epochs = max(1, math.ceil(passes))
    batches = int((seconds / epochs - validation) / timing.train)
    batches = min(train_batches, max(1, batches))
    return Schedule(epochs, batches, epochs * (batches * timing.train + validation))


@contextmanager
def short_epochs(dls: DataLoaders, batches: int):
    """Within, an epoch is `batches` batches, drawn anew from all training images each time."""
    whole = dls.train
    count = batches * whole.bs
    dls.train = whole.new(n=count, get_idxs=lambda: whole.get_idxs()[:count])
    try:
        yield
    finally:
        dls.train = whole
