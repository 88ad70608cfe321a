"""Why a loss or the weights are not finite: which batch, rate, precision and file."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from fastai.callback.tracker import SaveModelCallback
from fastai.learner import Learner
from torch import Tensor

from fastunet.callback.auto_precision import AutoPrecision
from fastunet.callback.best_model import SaveBestModel
from fastunet.callback.diagnosis import Diagnosis, Value
from fastunet.callback.lookup import find_callback
from fastunet.errors import FastunetError
from fastunet.models.finite import first_nonfinite

NAME = "not-finite"


def batch_not_finite(
    learn: Learner,  # within a fit
    batch: int,  # of this epoch
    images: bool,  # whether its images hold such values
    logits: bool,  # whether the network's output does
    trained: int,  # batches before this epoch
) -> Diagnosis:
    """What is to be said of a batch whose loss, images or logits are not finite."""
    rate = _rate(learn, batch, trained)
    what, advice = _cause(learn, batch, images, logits, trained, rate)
    evidence: dict[str, Value] = {"epoch": learn.epoch, "batch": batch, "rate": rate}
    if batch == learn.iter:  # later ones have taken its place otherwise
        evidence |= {"images": _range(learn.xb[0]), "logits": _range(logits_of(learn))}
    return Diagnosis(NAME, f"{_stopped(learn, batch)}, {what}", advice, evidence)


def weights_not_finite(
    learn: Learner,  # at the end of the batches of an epoch
    name: str,  # of the weights
) -> Diagnosis:
    """What is to be said of them."""
    rate = float(learn.recorder.lrs[-1])
    return Diagnosis(
        NAME,
        f"Training was stopped: after the batches of epoch {learn.epoch} the weights are not "
        f"finite ({name}), {_at(learn, rate)}.",
        _lower(learn),
        {"epoch": learn.epoch, "rate": rate, "weights": name},
    )


def steps_skipped(
    learn: Learner,  # within a fit
    count: int,  # of steps in a row
) -> Diagnosis:
    """What is to be said of float16 steps whose gradients were not finite."""
    return Diagnosis(
        NAME,
        f"{_stopped(learn, learn.iter)}: {count} steps in a row were skipped, because gradients in "
        "float16 were not finite however small they were scaled: nothing is learned any more.",
        'Use precision="bf16" or "fp32" (--precision), or a lower learning rate.',
        {"epoch": learn.epoch, "batch": learn.iter, "skipped": count},
    )


def what_is_kept(learn: Learner) -> str:
    """Which weights the learner has when the fit has ended."""
    for cb in learn.cbs:
        if isinstance(cb, SaveModelCallback) and has_saved(cb):
            which = "the best epoch before"
            if isinstance(cb, SaveBestModel):
                which = f"epoch {cb.best_epoch}, the best"
            return f"The weights are those of {which}."
    return "No earlier epoch was kept to go back to."


def has_saved(cb: SaveModelCallback) -> bool:
    """Whether it kept an epoch of this fit."""
    return cb.last_saved_path is not None and (
        bool(cb.every_epoch) or (cb.best is not None and math.isfinite(cb.best))
    )


def logits_of(learn: Learner) -> Tensor:  # (B, C, H, W)
    """Those of the batch; of several depths the finest."""
    return learn.pred if isinstance(learn.pred, Tensor) else learn.pred[0]


def _cause(
    learn: Learner, batch: int, images: bool, logits: bool, trained: int, rate: float
) -> tuple[str, str]:
    """What is not finite and why, and what to do."""
    if images:
        return "the images hold values that are not finite (nan or infinity).", _files(learn)
    target = learn.yb[0]
    if target.is_floating_point() and not target.isfinite().all():
        return "the target holds values that are not finite.", "It was changed by a callback."
    advice = _lower(learn)
    if learn.training and trained + batch == 0:
        advice = "No step was taken before, so it is not the learning rate."
    if not logits:
        name = type(learn.loss_func).__name__
        return (
            f"the loss is not finite, though the network's output is, {_at(learn, rate)}. Either "
            f"{name} divides by 0 or takes a logarithm of 0, or the output has become huge.",
            advice,
        )
    what = "the network's output is not finite"
    # where the check comes late, weights have been damaged by the loss itself
    # and statistics by this very batch, while they are being learned
    weights = dict(learn.model.named_parameters()) if learn.training else learn.model.state_dict()
    if batch == learn.iter and (weight := first_nonfinite(weights)):
        what += f", since its weights are not ({weight})"
    return f"{what}, {_at(learn, rate)}.", advice


def _stopped(learn: Learner, batch: int) -> str:
    part = "" if learn.training else " of the validation"
    return (
        f"Training was stopped: in epoch {learn.epoch}, batch {batch + 1} of {learn.n_iter}{part}"
    )


def _rate(learn: Learner, batch: int, trained: int) -> float:
    rates = learn.recorder.lrs
    number = trained + batch if learn.training else len(rates) - 1
    return float(rates[number] if number < len(rates) else learn.opt.hypers[-1]["lr"])


def _at(learn: Learner, rate: float) -> str:
    precision = find_callback(learn, AutoPrecision)
    dtype = f" in {str(precision.dtype).removeprefix('torch.')}" if precision else ""
    return f"at a learning rate of {rate:.3g}{dtype}"


def _lower(learn: Learner) -> str:
    advice = "Choose a lower learning rate: lr_find (--lr auto) suggests one."
    precision = find_callback(learn, AutoPrecision)
    if precision and precision.dtype == torch.float16:
        advice += ' Or precision="bf16" or "fp32" (--precision): float16 ends at 65504.'
    return advice


def _files(learn: Learner) -> str:
    """Which file holds such values; all are read until one is found."""
    try:
        found = next(_damaged_files(learn), None)
    except FastunetError as error:  # the reader refuses the file, and says so
        return str(error)
    if found is None:
        return (
            "The files hold none: a transform made them, or the division by a standard deviation "
            "of 0."
        )
    return f"They are in {found}. Repair that file, or leave it out."


def _damaged_files(learn: Learner) -> Iterator[str]:
    reader = getattr(learn.dls, "reader", None)
    if reader is None:
        return
    dataset = learn.dls.train_ds if learn.training else learn.dls.valid_ds
    for item in getattr(dataset, "items", []):
        if not np.isfinite(reader.read(item)[0]).all():
            pair = getattr(item, "pair", item)
            yield ", ".join(str(file) for file in pair.image_files)


def _range(values: Tensor) -> list[float]:
    """The lowest and the highest of the values that are finite; empty where none is."""
    finite = values.detach()[values.isfinite()]
    return [float(finite.min()), float(finite.max())] if len(finite) else []
