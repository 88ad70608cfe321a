"""The batch size that trains fastest, by a few steps with each."""

import gc
import math
import time
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from fastai.callback.tracker import TrackerCallback
from fastai.learner import Learner

from fastunet._util.system_errors import is_lack_of_memory
from fastunet._util.text import listing
from fastunet.callback.growing_size import GrowingSize
from fastunet.callback.guard import Guard
from fastunet.callback.lookup import find_callback
from fastunet.callback.micro_batches import MicroBatches
from fastunet.callback.time_budget import StepTimer
from fastunet.callback.trial import trial

_SMALLEST = 4  # images; fewer say little about batch normalisation
_BATCHES = 8  # of an epoch at least
_STEPS = 11  # batches of each size, fewer where they take long
_WORTH = 1.05  # times the images a second, for which a batch is made larger


@dataclass
class BatchSizes:
    """What was measured, and the size that follows from it."""

    chosen: int
    rates: dict[int, float] = field(default_factory=dict)  # images a second, by the size
    too_large: int | None = None  # a size for which there is not enough memory

    def __str__(self) -> str:
        said = listing([f"{rate:.3g} with {size}" for size, rate in self.rates.items()], 10)
        found = f"{self.chosen} images"
        if said:
            found += f"; measured, images a second: {said}"
        else:
            found += "; too few images to choose from, or no time"
        return found + (f"; {self.too_large} need too much memory" if self.too_large else "")


def measure_batch_sizes(
    learn: Learner,
    seconds: float,  # that it may take, about
) -> BatchSizes:
    """Train a few steps with 4, 8, 16, ... images, without a trace, and choose.

    It goes on while twice as many images make 5 % more of them a second, and memory, time and an
    epoch of 8 batches allow it. Chosen is the smallest size with 95 % of the best rate. On a CPU a
    system may end the process where memory is short, instead of refusing it: sizes are doubled only
    while they pay, which on CPUs ends early.
    """
    loaders, before = list(learn.dls.loaders), learn.dls.train.bs
    sizes = [_SMALLEST]
    while 2 * sizes[-1] * _BATCHES <= learn.dls.train.n:
        sizes.append(2 * sizes[-1])
    if learn.dls.train.n < _SMALLEST * _BATCHES:
        return BatchSizes(before)
    found = BatchSizes(_SMALLEST)
    judges = [cb for cb in learn.cbs if isinstance(cb, TrackerCallback | Guard | GrowingSize)]
    parts = find_callback(learn, MicroBatches)
    start = last = time.perf_counter()
    try:
        if parts:
            parts.may_shrink = False
        with trial(learn), learn.removed_cbs(judges), learn.no_logging(), learn.no_bar():
            for size in sizes:
                now = time.perf_counter()
                if found.rates and now + 2 * (now - last) > start + seconds:
                    break
                last = now
                for loader in loaders:
                    loader.bs = size
                rate = _rate(learn, seconds / 20)
                if rate is None:
                    found.too_large = size
                    break
                best = max(found.rates.values(), default=0.0)
                found.rates[size] = rate
                if rate < _WORTH * best:
                    break
    finally:
        if parts:
            parts.may_shrink = True
        for loader in loaders:
            loader.bs = before
    best = max(found.rates.values(), default=0.0)
    found.chosen = min(
        (size for size, rate in found.rates.items() if rate >= best / _WORTH), default=_SMALLEST
    )
    return found


def _rate(learn: Learner, limit: float) -> float | None:
    """Images a second with the loader's batch size; None where memory does not suffice."""
    timer = StepTimer(limit)
    try:
        learn.fit(math.ceil(_STEPS / len(learn.dls.train)), lr=0.0, cbs=timer)
    except Exception as error:
        if not is_lack_of_memory(error):
            raise
    else:
        steps = [end - start for start, end in pairwise(timer.ends)]
        return learn.dls.train.bs / median(steps)
    gc.collect()
    return None
