"""`segmentation_learner`: a network on image/mask pairs, as a fastai `Learner`."""

import inspect
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from fastai.callback.schedule import LRFinder
from fastai.callback.tracker import SaveModelCallback
from fastai.learner import Learner
from fastcore.foundation import L
from torch import nn

from fastunet.callback.budget import Schedule, measure, schedule, short_epochs
from fastunet.callback.checkpoint import SaveBestModel
from fastunet.callback.guard import FiniteGuard
from fastunet.callback.precision import AutoPrecision
from fastunet.data.block import renormalised
from fastunet.errors import TrainingError
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle
from fastunet.losses import CombinedLoss, adapt_loss
from fastunet.metrics import adapt_metrics, default_metrics, loss_terms
from fastunet.models.build import build, describe
from fastunet.models.check import check_network
from fastunet.models.groups import normalisation_of, split_parameters
from fastunet.precision import Precision
from fastunet.preprocess import Source


class SegmentationLearner(Learner):
    """A fastai `Learner` that keeps its best model, predicts at full size and saves bundles."""

    save_best: bool = True  # load the weights of the best epoch when a fit ends
    threshold: float = 0.5  # binary: foreground is what is more probable than this

    def fit(self, n_epoch, lr=None, wd=None, cbs=None, reset_opt=False, start_epoch=0):
        """As `Learner.fit`; the weights of the best epoch are loaded when it ends.

        With a `SaveModelCallback` of your own among the callbacks, that one decides.
        """
        cbs = L(cbs)
        others = (SaveModelCallback, LRFinder)
        if self.save_best and not any(isinstance(cb, others) for cb in [*self.cbs, *cbs]):
            cbs = cbs + SaveBestModel(self.metrics[0].name if self.metrics else "valid_loss")
        super().fit(n_epoch, lr, wd, cbs, reset_opt, start_epoch)

    def fit_minutes(
        self,
        minutes: float,  # wall clock, training and validation together
        lr_max: float | slice | None = None,  # as in `fit_one_cycle`
        **kwargs,  # as in `fit_one_cycle`
    ) -> Schedule:
        """`fit_one_cycle`, as long as the first steps say that `minutes` allow.

        Returns what was chosen: epochs, batches per epoch, expected seconds.
        """
        if minutes <= 0:
            raise TrainingError(f"minutes={minutes}: there is no time to train.")
        start = time.perf_counter()
        timing = measure(self)
        left = 60 * minutes - (time.perf_counter() - start)
        plan = schedule(timing, left, len(self.dls.train), len(self.dls.valid))
        with short_epochs(self.dls, plan.batches):
            self.fit_one_cycle(plan.epochs, lr_max, **kwargs)
        return plan

    def segmenter(self) -> Segmenter:
        """This model, with its preprocessing and classes, as it predicts once it is saved."""
        codec, preprocess = self.dls.codec, self.dls.preprocess
        return Segmenter(self.model, codec, preprocess, threshold=self.threshold)

    def predict_mask(
        self,
        image: Source,  # a file, several whose channels are stacked, or RGB (H, W) / (H, W, C)
    ) -> np.ndarray:  # (H, W) uint8 class indices
        """The class of each pixel, at the image's own size."""
        return self.segmenter().predict(image)

    def save_bundle(
        self,
        path: str | os.PathLike,  # a folder, made where it is missing
        metrics: dict | None = None,  # what to write down; None: the last validation's
        training: dict | None = None,  # how it was made, any JSON values
    ) -> Path:
        """Write `model.safetensors` and `bundle.json`, all that `Segmenter.load` needs."""
        if metrics is None:
            metrics = self._last_metrics()
        return Bundle(
            describe(self.model),
            self.model.state_dict(),
            self.dls.codec,
            self.dls.preprocess,
            metrics,
            training or {},
            threshold=self.threshold,
        ).save(path)

    def _last_metrics(self) -> dict:
        """The scores of the last epoch of the last fit, at the network's input size."""
        values = self.recorder.values[-1] if getattr(self.recorder, "values", None) else []
        names = self.recorder.metric_names[1:] if values else []
        scores = {
            name: float(value) if math.isfinite(value) else None  # JSON has no nan
            for name, value in zip(names, values, strict=False)
        }
        return {"split": "valid", "resolution": "network input", **scores} if scores else {}


def segmentation_learner(
    dls,  # `ImageMaskDataLoaders`, or a `DataBlock`'s of `PairImageBlock` and `PairMaskBlock`
    arch: str | Callable | nn.Module = "unet",  # which network; see below
    *,
    pretrained: bool = True,  # an encoder starts from ImageNet weights, frozen
    weights: str | os.PathLike | None = None,  # a file of such weights, instead of the published
    normalize: bool = True,  # pretrained encoders get pixels normalised as they know them
    loss_func: Callable | None = None,  # ours, or any other of logits; None: `CombinedLoss()`
    metrics: Sequence | None = None,  # ours, fastai's, torchmetrics' or functions; None: see below
    lr: float = 3e-3,  # peak learning rate where none is given to fit
    precision: Precision = "auto",  # "bf16", "fp16", "fp32", or what is fast on the device
    channels_last: bool = True,  # memory format
    save_best: bool = True,  # keep and load the epoch with the best first metric
    path: str | os.PathLike | None = None,  # models are written below; None: that of `dls`
    cbs: Sequence | None = None,
    **kwargs,  # of fastai's `Learner`; all others are options of the network
) -> SegmentationLearner:
    """A Learner with loss, metrics, mixed precision and the best model kept, for both tasks.

    `arch` is "unet" (the scratch `UNet`; its width is 32, and 16 on a CPU, unless you say), the
    name of a timm encoder (a `TimmUNet` over it; `available_encoders` lists them), a torchvision
    callable such as `resnet34` (the network of fastai's `unet_learner`), or any `nn.Module` that
    maps (B, channels, H, W) to logits (B, 1 or classes, H, W).

    >>> learn = segmentation_learner(dls)
    >>> learn = segmentation_learner(dls, "convnext_tiny")
    >>> learn = segmentation_learner(dls, UNet(3, 1, depth=5, norm="group", residual=True))

    As in fastai a pretrained encoder starts frozen: train decoder and head, then `unfreeze()`, or
    call `fine_tune`. The parameter groups are fastai's too: early encoder, late encoder, decoder
    and head. With the encoder's own mean and standard deviation the learner has its own `dls`;
    yours stays as it is. Untrained networks of ours start with a bias that predicts each class as
    often as the training masks show it.

    Losses of other libraries see logits and truth as they want them, without void (`AdaptedLoss`),
    and so do metrics (`adapt_metrics`); without any there are Dice, IoU, accuracy, and each term of
    the loss.

    Raises `ArchitectureError` where `arch` is none of these, where weights cannot be had, and where
    the network does not map these images to logits; `TrainingError` where a loss or a metric does
    not fit the task.
    """
    if not (hasattr(dls, "codec") and hasattr(dls, "preprocess")):
        raise TrainingError(
            "These DataLoaders do not say what their masks hold. Make them with "
            "ImageMaskDataLoaders, or with a DataBlock of PairImageBlock and PairMaskBlock."
        )
    options = {name: kwargs.pop(name) for name in kwargs.keys() - _LEARNERS_OWN}
    if arch == "unet":
        options.setdefault("width", 16 if torch.device(dls.device).type == "cpu" else 32)
    preprocess, n_out = dls.preprocess, dls.codec.n_out
    model = build(arch, preprocess.channels, n_out, preprocess.size, pretrained, weights, options)
    statistics = normalisation_of(model) if normalize else None
    if statistics is not None:
        dls = renormalised(dls, *statistics)
    if model is not arch and hasattr(model, "set_prior"):
        counts = _class_counts(dls, sample=_MASKS)
        model.set_prior((counts / max(1, counts.sum())).tolist())
    if isinstance(arch, nn.Module):
        check_network(model, preprocess.channels, n_out, preprocess.size, dls.device)
    loss_func = adapt_loss(CombinedLoss if loss_func is None else loss_func, n_out, dls.device)
    if loss_func.needs_counts:
        loss_func.set_class_counts(_class_counts(dls))
    if metrics is None:
        metrics = [*default_metrics(), *loss_terms(loss_func)]
    learn = SegmentationLearner(
        dls,
        model,
        loss_func=loss_func,
        metrics=adapt_metrics(metrics, n_out),
        lr=lr,
        path=path,
        cbs=[AutoPrecision(precision, channels_last), FiniteGuard(), *L(cbs)],
        **{"splitter": split_parameters, **kwargs},
    )
    learn.save_best = save_best
    if model is not arch and arch != "unet" and pretrained:
        learn.freeze()
    return learn


_LEARNERS_OWN = inspect.signature(Learner.__init__).parameters.keys()
_MASKS = 100  # that are looked at for the frequency of the classes


def _class_counts(dls, sample: int | None = None) -> np.ndarray:
    """(classes,) pixels of each class in the training masks, or in some of them."""
    return dls.reader.class_counts(list(dict.fromkeys(dls.train_ds.items)), sample)
