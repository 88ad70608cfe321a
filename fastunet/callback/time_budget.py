"""A one-cycle that fits a wall-clock budget: a few steps are measured, the clock does the rest."""

import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median

import torch
from fastai.callback.core import (
    Callback,
    CancelFitException,
    CancelTrainException,
    CancelValidException,
)
from fastai.callback.tracker import TrackerCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastcore.foundation import L

from fastunet._util.processes import clock, count, from_first
from fastunet._util.warn import warn
from fastunet.callback.checkpoint import Checkpoint
from fastunet.callback.growing_size import GrowingSize
from fastunet.callback.guard import Guard
from fastunet.callback.trial import trial

_WARM_UP, _TIMED = 3, 8  # batches
_FEW = 30  # batches in all, with which nothing is learned
_SPARE = 4  # times the batches of an epoch that its loader has, in case they are faster
_OFTEN = 0.15  # of the time passes before it is asked again when the fit ends
_WAIT = 10  # batches between waits for a GPU, which works behind the clock


@dataclass(frozen=True)
class Timing:
    """Seconds per batch, as measured."""

    train: float
    valid: float


@dataclass(frozen=True)
class Schedule:
    """How long to train: epochs, each over a part of the training batches."""

    epochs: int
    batches: int  # per epoch
    seconds: float  # what that should take


class StepTimer(Callback):
    """Note when training batches end, stop after a few, and skip validation."""

    order = 70  # after everything that belongs to a batch

    def __init__(
        self,
        limit: float = math.inf,  # seconds after which three batches are enough
    ):
        super().__init__()
        self.limit = limit

    def before_fit(self):
        self.ends, self.start = [], clock()

    def before_validate(self):
        raise CancelValidException

    def after_batch(self):
        _wait_for(self.loss.device)
        self.ends.append(clock())
        late = self.ends[-1] - self.start > self.limit and len(self.ends) >= 3
        if late or len(self.ends) >= _WARM_UP + _TIMED:
            raise CancelTrainException


def measure(
    learn: Learner,
    limit: float = math.inf,  # seconds that measuring should take at most
) -> Timing:
    """Time the learner's own loop on its own data; it leaves no trace.

    It trains at a rate of 0 and skips validation: callbacks that judge a fit are taken off for it.
    """
    timer = StepTimer(limit)
    judges = [cb for cb in learn.cbs if isinstance(cb, TrackerCallback | Guard | GrowingSize)]
    epochs = math.ceil((_WARM_UP + _TIMED) / len(learn.dls.train))
    with trial(learn), learn.removed_cbs(judges), learn.no_logging(), learn.no_bar():
        learn.fit(epochs, lr=0.0, cbs=timer)
        batch = learn.dls.valid.one_batch()
        for _ in range(2):  # the first time warms up
            start = clock()
            learn.validate(dl=[batch])
            _wait_for(batch[0].device)
            valid = clock() - start
    steps = [end - start for start, end in pairwise(timer.ends)]
    train = median(steps[min(_WARM_UP, len(steps)) - 1 :])
    # a validation batch will be divided among the processes; here each predicts all of it
    return from_first(lambda: Timing(train, valid / count()))


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
    validation = valid_batches * timing.valid
    passes = seconds / (train_batches * timing.train + validation)
    epochs = max(1, math.ceil(passes))
    batches = int((seconds / epochs - validation) / timing.train)
    batches = min(train_batches, max(1, batches))
    return Schedule(epochs, batches, epochs * (batches * timing.train + validation))


@contextmanager
def timed_epochs(dls: DataLoaders, batches: int):
    """Within, an epoch is about `batches` batches, drawn again from all training images each time.

    The loader says that there are so many, and has more: the clock ends the epoch.
    """
    whole = dls.train
    images = batches * whole.bs

    def indices() -> list[int]:
        drawn: list[int] = []
        while len(drawn) < _SPARE * images:
            drawn += whole.get_idxs()
        return drawn[: _SPARE * images]

    dls.train = whole.new(n=images, get_idxs=indices)
    dls.train.whole = whole
    try:
        yield
    finally:
        dls.train = whole


class TimeBudget(Callback):
    """Let the clock drive a fit: its schedule, the length of its epochs, and its end.

    Validation takes its part of the time; each epoch gets an equal share of the rest. The position
    in the schedule is the share of that rest which is used, so that a one-cycle ends where the time
    does, however fast the batches are. Where batches or validations turn out slower than planned
    there are fewer epochs. A fit that goes on from a checkpoint has the rest of its schedule in the
    time that it has now.
    """

    remembered = ("position", "left", "planned")
    replans = True  # the number of epochs
    order = 1001  # when all others have seen the batch, also those that end a fit

    def __init__(
        self,
        ends: float,  # by `time.perf_counter`
        validation: float,  # seconds that one should take, until the first has been seen
        batches: int,  # of one pass over the training part
        planned: int,  # batches an epoch
        until: Callable[[], float] | None = None,  # says anew when it ends; asked now and then
    ):
        super().__init__()
        self.ends, self.validation, self.whole_pass = ends, validation, batches
        self.planned, self.until = planned, until

    def before_fit(self):
        self._begun = time.perf_counter()  # by this process's own clock
        self.start = self._now = self._asked = clock()
        self._asking = 0.0  # seconds, since the last epoch
        self.left = self.ends - self.start  # seconds
        self.trained, self.batches = 0.0, 0  # seconds, and what was done in them
        self.position, self._goal = 0.0, 0.0  # in the schedule: now, and at the end of the epoch
        self._pauses: deque[float] = deque(maxlen=3)  # from an epoch's last batch to the next epoch

    @property
    def elapsed(self) -> float:
        """Seconds since the fit began."""
        return time.perf_counter() - self._begun

    def before_epoch(self):
        late = clock() + self._batch / 2 + self._pause > self.ends
        if late and self.epoch > 0:
            raise CancelFitException

    def before_train(self):
        now = clock()
        if not self.batches:
            self._first = self.position
            self._epochs = self.n_epoch - self.epoch  # that are to come
        else:
            self._pauses.append(now - self._now - self._asking)
            self._asking = 0.0
            self._epochs = max(1, min(self.n_epoch - self.epoch, self._fitting(now)))
        self._now = now
        self._goal = self.position + (1 - self.position) / self._epochs
        self.learn.pct_train = self.position

    def after_batch(self):
        if not self.training:
            return
        if self.iter % _WAIT == _WAIT - 1:
            _wait_for(self.loss.device)
        now = clock()
        self.trained += now - self._now
        self._now = now
        self.batches += 1
        self.left = self.ends - now
        total = self.trained + max(0.0, self.left - self._epochs * self._pause)
        place = self._first + (1 - self._first) * self.trained / total
        self.position = max(self.position, place)
        self.learn.pct_train = self.position
        if self.position + self._batch / 2 / total >= self._goal:
            raise CancelTrainException

    def after_cancel_train(self):
        self.recorder.cancel_train = False  # the epoch is whole: its loss is recorded

    def after_epoch(self):
        now = clock()
        if self.until and now - self._asked > _OFTEN * (self.ends - self.start):
            self.ends = self.until()
            self._asked = clock()
            self._asking = self._asked - now
            self.learn.n_epoch = self.epoch + 1 + max(0, self._fitting(self._asked))
        self.left = self.ends - clock()

    def _fitting(self, now: float) -> int:
        """Epochs that fit into the rest of the time, the last one shortened."""
        return math.ceil((self.ends - now) / (self.whole_pass * self._batch + self._pause))

    @property
    def _batch(self) -> float:
        return self.trained / max(1, self.batches)

    @property
    def _pause(self) -> float:
        return fmean(self._pauses) if self._pauses else self.validation


def fit_for(
    learn: Learner,
    seconds: float,  # for measuring, training and validation
    lr_max: float | slice | None = None,  # as in `fit_one_cycle`
    cbs=None,
    until: Callable[[], float] | None = None,  # says anew, by `time.perf_counter`, when it ends
    **kwargs,  # as in `fit_one_cycle`
) -> Schedule:
    """`Learner.fit_one_cycle` for so long. Returns what was planned after the first steps.

    Warns where so few batches fit that nothing is learned. With a `Checkpoint` to go on from it is
    the rest of the fit that takes so long.
    """
    checkpoint = next((cb for cb in L(cbs) if isinstance(cb, Checkpoint)), None)
    before = checkpoint.told_by(TimeBudget) if checkpoint else {}
    a_pass = before.get("planned", len(learn.dls.train))
    seconds = from_first(lambda: seconds)
    ends = clock() + seconds
    timing = measure(learn, limit=0.05 * seconds)
    plan = schedule(timing, ends - clock(), a_pass, len(learn.dls.valid))
    if plan.epochs * plan.batches < _FEW and not before:
        warn(
            f"Only about {plan.epochs * plan.batches} batches of {learn.dls.train.bs} images fit "
            f"into {seconds:.0f} s, at {timing.train:.2g} s each: that is no training. Give it "
            "more minutes, smaller images (size=), or smaller batches (bs=)."
        )
    if checkpoint and before:
        plan = replace(plan, epochs=checkpoint.epochs_done + plan.epochs, batches=a_pass)
    validation = len(learn.dls.valid) * timing.valid
    budget = TimeBudget(ends, validation, a_pass, plan.batches, until)
    with timed_epochs(learn.dls, plan.batches):
        learn.fit_one_cycle(plan.epochs, lr_max, cbs=[*L(cbs), budget], **kwargs)
    return plan
