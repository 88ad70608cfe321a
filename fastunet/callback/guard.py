"""Stop training when a value is not finite, and say why: which batch, rate, precision and file."""

import math
from collections.abc import Callable, Iterator
from typing import NoReturn

import numpy as np
import torch
from fastai.callback.core import CancelFitException
from fastai.callback.mixup import MixHandler, MixUp
from fastai.callback.schedule import LRFinder, ParamScheduler
from fastai.callback.tracker import SaveModelCallback
from torch import Tensor

from fastunet.callback.auto_precision import AutoPrecision
from fastunet.callback.best_model import SaveBestModel
from fastunet.callback.lookup import find_callback
from fastunet.callback.plain import PlainCallback
from fastunet.errors import FastunetError, TrainingError
from fastunet.models.finite import first_nonfinite

_EVERY = 50  # batches between looks where looking makes the device wait
_TOO_HIGH = 1e30  # a rate that overflows in the optimizer's float32
_SKIPPED = 20  # float16 steps in a row; the scale, 65536 at first, has fallen below 1 then


class FiniteGuard(PlainCallback):
    """End a fit with a `TrainingError` where a loss or the weights are not finite.

    The message says where and why. On a CPU each batch is looked at, on other devices a flag is
    kept there and read every 50 batches and at the end of an epoch, so that no batch waits. The
    weights are looked at once per epoch. `lr_find`, which goes on until the loss explodes, simply
    ends there.

    Before the first batch it refuses learning rates that are not positive numbers, and callbacks
    that mix images in a way that the masks cannot follow.
    """

    order = 1000  # an error is raised when all other callbacks have ended the fit

    def __init__(
        self,
        every: int | None = None,  # batches between looks; None: 1 on a CPU, 50 elsewhere
    ):
        super().__init__()
        self.every = every
        self._error: TrainingError | None = None
        self._finder: LRFinder | None = None
        self._fits = False

    def before_fit(self):  # also of `validate` and `get_preds`, which are not guarded
        self._error, self._fits = None, False

    def before_train(self):
        if not self._fits:
            self._fits = True
            self._finder = find_callback(self.learn, LRFinder)
            self._check_mixing()
            self._check_rates()
        self._begin()

    def before_validate(self):
        self._begin()

    def _begin(self) -> None:
        self._first: Tensor | None = None  # (3,) batches where loss, images, logits went wrong
        self._trained = len(self.recorder.lrs)  # batches before this epoch

    def after_loss(self):
        if not self._fits or not len(self.yb):
            return
        loss = self.learn.loss.detach()
        every = self.every or (1 if loss.device.type == "cpu" else _EVERY)
        if every == 1 and loss.isfinite().all():
            return
        logits = self.pred if isinstance(self.pred, Tensor) else self.pred[0]
        finite = torch.stack([value.isfinite().all() for value in (loss, self.xb[0], logits)])
        if self._first is None:
            self._first = torch.full_like(finite, -1, dtype=torch.long)
        self._first = torch.where(~finite & (self._first < 0), self.iter, self._first)
        if (self.iter + 1) % every == 0:
            self._check()

    def after_batch(self):
        precision = find_callback(self.learn, AutoPrecision)
        skipped = precision.skipped if precision else 0
        if self._fits and self.training and skipped >= _SKIPPED:
            self._stop(
                f"{self._where(self.iter)}: {skipped} steps in a row were skipped, because "
                "gradients in float16 were not finite however small they were scaled: nothing is "
                'learned any more. Use precision="bf16" or "fp32" (--precision), or a lower '
                f"learning rate. {self._kept()}"
            )

    def after_train(self):
        if not self._fits:
            return
        self._check()
        if self._finder is None and (name := first_nonfinite(self.model.state_dict())):
            self._stop(
                f"Training was stopped: after the batches of epoch {self.epoch} the weights are "
                f"not finite ({name}), {self._at(self.recorder.lrs[-1])}. {self._lower()} "
                f"{self._kept()}"
            )

    def after_validate(self):
        if self._fits:
            self._check()

    def after_cancel_fit(self):
        """What fastai's own callback would save or load now is not finite, or of an earlier fit."""
        if self._error is None:
            return
        for cb in self.learn.cbs:
            theirs = isinstance(cb, SaveModelCallback) and not isinstance(cb, SaveBestModel)
            if theirs and (cb.at_end or not _has_saved(cb)):
                cb.run = False

    def after_fit(self):
        fits, self._fits = self._fits, False
        error, self._error = self._error, None
        if error is not None:
            self.learn._end_cleanup()
            raise error
        if fits and self._finder is not None:
            self._check_finder(self._finder)

    # --- what is not finite, and why ------------------------------------------------------------

    def _stop(self, message: str) -> NoReturn:
        self._error = TrainingError(message)
        raise CancelFitException

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
        cause = self._cause(batch, images, logits)
        self._stop(f"{self._where(batch)}, {cause} {self._kept()}".rstrip())

    def _cause(self, batch: int, images: bool, logits: bool) -> str:
        rate = self._rate(batch)
        if images:
            return f"the images hold values that are not finite (nan or infinity). {self._files()}"
        target = self.yb[0]
        if target.is_floating_point() and not target.isfinite().all():
            return "the target holds values that are not finite. It was changed by a callback."
        advice = self._lower()
        if self.training and self._trained + batch == 0:
            advice = "No step was taken before, so it is not the learning rate."
        if not logits:
            name = type(self.learn.loss_func).__name__
            return (
                f"the loss is not finite, though the network's output is, {self._at(rate)}. Either "
                f"{name} divides by 0 or takes a logarithm of 0, or the output has become huge. "
                f"{advice}"
            )
        what = "the network's output is not finite"
        # where the check comes late, weights have been damaged by the loss itself
        # and statistics by this very batch, while they are being learned
        weights = dict(self.model.named_parameters()) if self.training else self.model.state_dict()
        if batch == self.iter and (weight := first_nonfinite(weights)):
            what += f", since its weights are not ({weight})"
        return f"{what}, {self._at(rate)}. {advice}"

    def _where(self, batch: int) -> str:
        part = "" if self.training else " of the validation"
        return (
            f"Training was stopped: in epoch {self.epoch}, batch {batch + 1} of {self.n_iter}{part}"
        )

    def _rate(self, batch: int) -> float:
        rates = self.recorder.lrs
        number = self._trained + batch if self.training else len(rates) - 1
        return float(rates[number] if number < len(rates) else self.opt.hypers[-1]["lr"])

    def _at(self, rate: float) -> str:
        precision = find_callback(self.learn, AutoPrecision)
        dtype = f" in {str(precision.dtype).removeprefix('torch.')}" if precision else ""
        return f"at a learning rate of {rate:.3g}{dtype}"

    def _lower(self) -> str:
        advice = "Choose a lower learning rate: lr_find (--lr find) suggests one."
        precision = find_callback(self.learn, AutoPrecision)
        if precision and precision.dtype == torch.float16:
            advice += ' Or precision="bf16" or "fp32" (--precision): float16 ends at 65504.'
        return advice

    def _files(self) -> str:
        """Which file holds such values; all are read until one is found."""
        try:
            found = next(self._damaged_files(), None)
        except FastunetError as error:  # the reader refuses the file, and says so
            return str(error)
        if found is None:
            return (
                "The files hold none: a transform made them, or the division by a standard "
                "deviation of 0."
            )
        return f"They are in {found}. Repair that file, or leave it out."

    def _damaged_files(self) -> Iterator[str]:
        reader = getattr(self.dls, "reader", None)
        if reader is None:
            return
        dataset = self.dls.train_ds if self.training else self.dls.valid_ds
        for item in getattr(dataset, "items", []):
            if not np.isfinite(reader.read(item)[0]).all():
                pair = getattr(item, "pair", item)
                yield ", ".join(str(file) for file in pair.image_files)

    def _kept(self) -> str:
        """Which weights the learner has when the fit has ended."""
        if self._finder is not None:  # which puts back those from before
            return ""
        for cb in self.learn.cbs:
            if isinstance(cb, SaveModelCallback) and _has_saved(cb):
                which = "the best epoch before"
                if isinstance(cb, SaveBestModel):
                    which = f"epoch {cb.best_epoch}, the best"
                return f"The weights are those of {which}."
        return "No earlier epoch was kept to go back to."

    # --- before the first batch -----------------------------------------------------------------

    def _check_rates(self) -> None:
        planned = [hyper["lr"] for hyper in self.opt.hypers]
        for cb in self.learn.cbs:
            if isinstance(cb, ParamScheduler) and "lr" in cb.scheds:
                planned = [
                    _rate_at(cb.scheds["lr"], position) for position in (0, 0.25, 0.5, 0.75, 1)
                ]
        rates = np.concatenate([np.atleast_1d(np.asarray(rate, float)) for rate in planned])
        if not np.isfinite(rates).all() or rates.min() < 0 or not 0 < rates.max() < _TOO_HIGH:
            worst = rates[~np.isfinite(rates) | (rates <= 0) | (rates >= _TOO_HIGH)][0]
            self._stop(
                f"The learning rate is {worst:g}; a small number above 0, such as 0.003, was "
                "expected. lr_find (--lr find) suggests one."
            )

    def _check_mixing(self) -> None:
        for cb in self.learn.cbs:
            if isinstance(cb, MixHandler) and not isinstance(cb, MixUp):
                self._stop(
                    f"{type(cb).__name__} pastes parts of one image into another, and mixes the "
                    "masks as if the images were blended: segmentation would learn wrong masks. "
                    "MixUp works."
                )
            if isinstance(cb, MixUp) and self.dls.train.bs == 1:
                self._stop("MixUp blends the images of a batch: choose a batch size above 1.")

    def _check_finder(self, finder: LRFinder) -> None:
        count = len(self.recorder.losses)
        if not _has_suggestion(finder, count):
            raise TrainingError(
                f"lr_find: the loss was too large after {count} batches, too few for a suggestion. "
                "Let it start lower, such as lr_find(start_lr=1e-9), or look at data and loss."
            )


def _has_suggestion(
    finder: LRFinder,
    batches: int,  # of which fastai leaves out the first tenth of those planned and the last five
) -> bool:
    return batches - finder.num_it // 10 - 5 > 0


def _rate_at(schedule: Callable[[float], object], position: float) -> object:
    """What a schedule of fastai gives there; nan for an exponential one from 0 or below."""
    try:
        with np.errstate(all="ignore"):
            rate = schedule(float(position))
    except ZeroDivisionError:
        return math.nan
    return math.nan if isinstance(rate, complex) else rate


def _has_saved(cb: SaveModelCallback) -> bool:
    """Whether it kept an epoch of this fit."""
    return cb.last_saved_path is not None and (
        bool(cb.every_epoch) or (cb.best is not None and math.isfinite(cb.best))
    )
