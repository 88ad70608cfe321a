"""Training progress that reads well in a terminal and in a log file."""

import time
from collections.abc import Sequence

from fastai.callback.core import Callback, GatherPredsCallback
from fastai.callback.schedule import LRFinder
from fastai.learner import noop
from tqdm import tqdm

from fastunet._util.terminal import hide_bars
from fastunet.callback.lookup import find_callback
from fastunet.callback.time_budget import StepTimer, TimeBudget

_IN_SECONDS = "{l_bar}{bar}| {n:.0f}/{total:.0f} s{postfix}"  # a bar of time instead of batches


class EpochLog(Callback):
    """One aligned line per epoch; in a terminal also a bar with the time left for the whole fit.

    It takes the place of fastai's `ProgressCallback`, whose output is made for notebooks.
    """

    order = 60  # as fastai's ProgressCallback
    bar: tqdm | None = None

    def before_fit(self):
        silent = (GatherPredsCallback, StepTimer)
        self.run = not any(find_callback(self.learn, kind) for kind in silent)
        if not self.run:
            return
        self.quiet = self.learn.logger is noop
        if not self.quiet:
            self.old_logger, self.learn.logger = self.learn.logger, self._line
            names = self.recorder.metric_names
            self.widths = [6, *(max(10, len(name) + 2) for name in names[1:])]
            self._line(names)

    def before_train(self):  # not in `before_fit`, which validating and predicting come to as well
        if self.bar is not None:
            return
        finder = find_callback(self.learn, LRFinder)
        self.budget = find_callback(self.learn, TimeBudget)
        total = finder.num_it if finder else self.n_epoch * len(self.dls.train)
        if self.budget:
            total = round(self.budget.ends - time.perf_counter())
        self.bar = tqdm(
            desc="lr_find" if finder else "Training",
            total=total,
            initial=0 if self.budget else self.train_iter,
            unit="batch",
            bar_format=_IN_SECONDS if self.budget else None,
            dynamic_ncols=True,
            leave=False,
            disable=hide_bars(),
        )

    def after_batch(self):
        if self.bar is None:
            return
        if self.budget:
            self.bar.update(min(self.budget.elapsed, self.bar.total or 0) - self.bar.n)
        elif self.training:
            self.bar.update()
        if self.training and not self.bar.disable:
            self.bar.set_postfix(loss=f"{float(self.smooth_loss):.4f}")

    def after_fit(self):
        if not self.run:
            return
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        if not self.quiet:
            self.learn.logger = self.old_logger

    def _line(self, row: Sequence) -> None:
        cells = (f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row)
        tqdm.write("".join(f"{cell:>{w}}" for cell, w in zip(cells, self.widths, strict=False)))
