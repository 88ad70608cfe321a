"""What the clock decides in a fit of so many minutes: noted, and done again without a clock."""

from fastai.callback.core import Callback, CancelTrainException
from fastai.learner import Learner

from fastunet.callback.time_budget import timed_epochs
from fastunet.plan import Clock

_UNIT = 1_000_000  # steps of the schedule


class ClockRecord(Callback):
    """Note each batch's place in the schedule, in whole millionths, which the batch then has."""

    remembered = ("steps",)
    order = 59  # before fastai's ParamScheduler reads the place

    def before_fit(self):
        self.steps: list[list[int]] = []

    def before_train(self):
        self.steps.append([])

    def before_batch(self):
        if self.training:
            self.steps[-1].append(round(self.pct_train * _UNIT))
            self.learn.pct_train = self.steps[-1][-1] / _UNIT

    def clock(self, batches: int) -> Clock:
        """What was decided, of epochs of about so many batches."""
        return Clock(batches, tuple(tuple(epoch) for epoch in self.steps))


class ClockRepeat(Callback):
    """Give each batch its place in the schedule, and end each epoch, as a clock did before."""

    order = 1001  # as `TimeBudget`: when all others have seen the batch

    def __init__(self, clock: Clock):
        super().__init__()
        self.recorded = clock

    def before_train(self):
        self._places = self.recorded.steps[self.epoch]
        self.learn.pct_train = self._places[0] / _UNIT

    def after_batch(self):
        if not self.training:
            return
        if self.iter == len(self._places) - 1:
            raise CancelTrainException
        self.learn.pct_train = self._places[self.iter + 1] / _UNIT

    def after_cancel_train(self):
        self.recorder.cancel_train = False  # the epoch is whole: its loss is recorded


def fit_again(
    learn: Learner,
    clock: Clock,
    lr_max: float,
    cbs: list[Callback],
) -> None:
    """Train as a fit of so many minutes did."""
    with timed_epochs(learn.dls, clock.batches):
        learn.fit_one_cycle(len(clock.steps), lr_max, cbs=[*cbs, ClockRepeat(clock)])
