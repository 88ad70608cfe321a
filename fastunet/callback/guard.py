"""Watch over a training: stop it where a value is not finite, and say what else goes wrong."""

from pathlib import Path
from typing import NoReturn

import torch
from fastai.callback.core import CancelFitException
from fastai.callback.schedule import LRFinder, valley
from fastai.callback.tracker import SaveModelCallback
from fastai.torch_core import rank_distrib
from torch import Tensor

from fastunet._util.warn import warn
from fastunet.callback.all_diagnoses import DIAGNOSES
from fastunet.callback.auto_precision import AutoPrecision
from fastunet.callback.best_model import SaveBestModel
from fastunet.callback.diagnosis import Diagnosis, load_diagnoses, save_diagnoses
from fastunet.callback.fit_record import FitRecord
from fastunet.callback.fit_settings import refusal
from fastunet.callback.fit_watch import FitWatch
from fastunet.callback.lookup import find_callback
from fastunet.callback.not_finite import (
    batch_not_finite,
    has_saved,
    logits_of,
    steps_skipped,
    weights_not_finite,
    what_is_kept,
)
from fastunet.callback.plain import PlainCallback
from fastunet.errors import TrainingError
from fastunet.models.finite import first_nonfinite
from fastunet.runs.contents import DIAGNOSES_JSON

_EVERY = 50  # batches between looks where looking makes the device wait
_SKIPPED = 20  # float16 steps in a row; the scale, 65536 at first, has fallen below 1 then


class Guard(PlainCallback):
    """End a fit with a `TrainingError` where a loss or the weights are not finite; diagnose others.

    The message says where and why. On a CPU each batch is looked at, on other devices a flag is
    kept there and read every 50 batches and at the end of an epoch, so that no batch waits. The
    weights are looked at once per epoch. `lr_find`, which goes on until the loss explodes, simply
    ends there, and nothing is diagnosed.

    Before the first batch it refuses learning rates that are not positive numbers, and callbacks
    that mix images in a way that the masks cannot follow.

    At the end of each epoch it makes the diagnoses of `all_diagnoses` from what it has seen. Each
    is a warning once, and stays in `diagnoses`; those of a run are written to its folder. What is
    learned stays the same bit for bit: it only reads, and draws no random numbers.
    """

    order = 1000  # an error is raised when all other callbacks have ended the fit
    remembered = ("_trained",)

    def __init__(
        self,
        every: int | None = None,  # batches between looks; None: 1 on a CPU, 50 elsewhere
        folder: Path | None = None,  # of a run, where `diagnoses.json` is kept; None: nowhere
    ):
        super().__init__()
        self.every, self.folder = every, folder
        self.diagnoses: list[Diagnosis] = []  # of the last fit, or of all of its run
        self.record: FitRecord | None = None  # what was seen of the last fit
        self.suggested_rate: float | None = None  # by lr_find, for the weights as they are
        self._error: TrainingError | None = None
        self._finder: LRFinder | None = None
        self._watch: FitWatch | None = None
        self._fits = False

    def before_fit(self):  # also of `validate` and `get_preds`, which are not guarded
        self._error, self._watch, self._fits = None, None, False

    def before_train(self):
        if not self._fits:
            self._fits = True
            self._finder = find_callback(self.learn, LRFinder)
            if message := refusal(self.learn):
                self._stop(message)
            if self._finder is None:
                self._begin_watch()
        self._begin()

    def before_validate(self):
        self._begin()
        if self._watch:
            self._watch.before_validate()

    def _begin(self) -> None:
        self._first: Tensor | None = None  # (3,) batches where loss, images, logits went wrong
        self._trained = len(self.recorder.lrs)  # batches before this epoch

    def after_loss(self):
        if not self._fits or not len(self.yb):
            return
        if self.training and self._watch:
            self._watch.after_training_loss(self.learn)
        loss = self.learn.loss.detach()
        every = self.every or (1 if loss.device.type == "cpu" else _EVERY)
        if every == 1 and loss.isfinite().all():
            return
        finite = torch.stack(
            [value.isfinite().all() for value in (loss, self.xb[0], logits_of(self.learn))]
        )
        if self._first is None:
            self._first = torch.full_like(finite, -1, dtype=torch.long)
        self._first = torch.where(~finite & (self._first < 0), self.iter, self._first)
        if (self.iter + 1) % every == 0:
            self._check()

    def before_step(self):
        if self._watch:
            self._watch.before_step(self.learn)

    def after_batch(self):
        if not self._fits:
            return
        if not self.training:
            if self._watch:
                self._watch.after_validation_batch(self.learn)
            return
        precision = find_callback(self.learn, AutoPrecision)
        skipped = precision.skipped if precision else 0
        if skipped >= _SKIPPED:
            self._stop_for(steps_skipped(self.learn, skipped))

    def after_train(self):
        if not self._fits:
            return
        self._check()
        if self._finder is not None:
            return
        if name := first_nonfinite(self.model.state_dict()):
            self._stop_for(weights_not_finite(self.learn, name))
        if self._watch:
            self._watch.after_train()

    def after_validate(self):
        if self._fits:
            self._check()

    def after_epoch(self):
        if self._watch:
            self._watch.after_epoch(self.learn)
            self._diagnose(self._watch.record)

    def after_cancel_fit(self):
        """What fastai's own callback would save or load now is not finite, or of an earlier fit."""
        if self._error is None:
            return
        for cb in self.learn.cbs:
            theirs = isinstance(cb, SaveModelCallback) and not isinstance(cb, SaveBestModel)
            if theirs and (cb.at_end or not has_saved(cb)):
                cb.run = False

    def after_fit(self):
        fits, self._fits = self._fits, False
        watch, self._watch = self._watch, None
        error, self._error = self._error, None
        if error is not None:
            self.learn._end_cleanup()
            raise error
        if fits and self._finder is not None:
            self._check_finder(self._finder)
        elif watch:
            watch.record.ended = True
            self._diagnose(watch.record)
            self.suggested_rate = None  # it was for the weights before

    # --- what is not finite -------------------------------------------------------------------

    def _stop(self, message: str) -> NoReturn:
        self._error = TrainingError(message)
        raise CancelFitException

    def _stop_for(self, found: Diagnosis) -> NoReturn:
        if self._finder is not None:  # which puts back the weights from before
            self._stop(f"{found.message} {found.advice}")
        self._keep(found)
        self._stop(f"{found.message} {found.advice} {what_is_kept(self.learn)}")

    def _check(self) -> None:
        if self._first is None:
            return
        batch, images, logits = self._first.tolist()
        if batch < 0:
            return
        images, logits = 0 <= images <= batch, 0 <= logits <= batch
        done = self._trained + batch
        if self._finder is not None and not images and _has_suggestion(self._finder, done):
            raise CancelFitException
        self._stop_for(batch_not_finite(self.learn, batch, images, logits, self._trained))

    # --- what else goes wrong -----------------------------------------------------------------

    def _begin_watch(self) -> None:
        self._watch = FitWatch(self.learn, self.suggested_rate)
        self.record = self._watch.record
        self.diagnoses = load_diagnoses(self.folder / DIAGNOSES_JSON) if self.folder else []
        self._diagnose(self.record)

    def _diagnose(self, record: FitRecord) -> None:
        """Tell what has not been told."""
        told = {found.name for found in self.diagnoses}
        for diagnose in DIAGNOSES:
            found = diagnose(record)
            if found is not None and found.name not in told:
                self._keep(found)
                if not rank_distrib():  # the first process tells it
                    warn(str(found))

    def _keep(self, found: Diagnosis) -> None:
        self.diagnoses.append(found)
        if self.folder is not None and not rank_distrib():
            save_diagnoses(self.diagnoses, self.folder / DIAGNOSES_JSON)

    # --- lr_find ------------------------------------------------------------------------------

    def _check_finder(self, finder: LRFinder) -> None:
        count = len(self.recorder.losses)
        if not _has_suggestion(finder, count):
            raise TrainingError(
                f"lr_find: the loss was too large after {count} batches, too few for a suggestion. "
                "Let it start lower, such as lr_find(start_lr=1e-9), or look at data and loss."
            )
        seen = slice(finder.num_it // 10, -5)
        rates, losses = self.recorder.lrs[seen], torch.tensor(self.recorder.losses[seen])
        self.suggested_rate = valley(rates, losses, finder.num_it)[0]


def _has_suggestion(
    finder: LRFinder,
    batches: int,  # of which fastai leaves out the first tenth of those planned and the last five
) -> bool:
    return batches - finder.num_it // 10 - 5 > 0
