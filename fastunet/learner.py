"""`segmentation_learner`: a network on image/mask pairs, as a fastai `Learner`."""

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from fastai.callback.schedule import LRFinder
from fastai.callback.tracker import SaveModelCallback
from fastai.learner import Learner
from fastai.torch_core import trainable_params
from fastai.vision.learner import unet_learner
from fastcore.foundation import L
from torch import nn

from fastunet.callback.budget import Schedule, measure, schedule, short_epochs
from fastunet.callback.checkpoint import SaveBestModel
from fastunet.callback.precision import AutoPrecision
from fastunet.errors import ArchitectureError, TrainingError
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle
from fastunet.losses import CombinedLoss
from fastunet.metrics import default_metrics
from fastunet.models.build import describe
from fastunet.models.unet import Norm, UNet
from fastunet.precision import Precision
from fastunet.preprocess import Source


class SegmentationLearner(Learner):
    """A fastai `Learner` that keeps its best model, predicts at full size and saves bundles."""

    save_best: bool = True  # load the weights of the best epoch when a fit ends

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
        return Segmenter(self.model, self.dls.codec, self.dls.preprocess)

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
    arch: str | Callable | nn.Module = "unet",  # "unet", a torchvision builder, or a network
    *,
    pretrained: bool = True,  # for a torchvision builder: start from ImageNet weights
    width: int | None = None,  # of "unet", channels at full resolution; None: 32, or 16 on a CPU
    depth: int | None = None,  # of "unet", how often the resolution is halved; None: 4
    norm: Norm | None = None,  # of "unet"; None: "batch"
    loss_func: Callable | None = None,  # None: `CombinedLoss()`
    metrics: Sequence | None = None,  # None: `DiceScore`, `MeanIoU`, `PixelAccuracy`
    lr: float = 3e-3,  # peak learning rate where none is given to fit
    precision: Precision = "auto",  # "bf16", "fp16", "fp32", or what is fast on the device
    channels_last: bool = True,  # memory format
    save_best: bool = True,  # keep and load the epoch with the best first metric
    path: str | os.PathLike | None = None,  # models are written below; None: that of `dls`
    cbs: Sequence | None = None,
    **kwargs,  # of fastai's `Learner`; for a torchvision builder, of its `unet_learner`
) -> SegmentationLearner:
    """A Learner with loss, metrics, mixed precision and the best model kept, for both tasks.

    `arch` is "unet" (the scratch U-Net), a torchvision callable such as `resnet34` (fastai's own
    `unet_learner` builds the network and its parameter groups), or any `nn.Module` that maps
    (B, channels, H, W) to logits (B, 1 or classes, H, W).

    >>> learn = segmentation_learner(dls)
    >>> learn.fit_one_cycle(10, learn.lr_find().valley)

    Raises `ArchitectureError` where `arch` is none of these.
    """
    if not (hasattr(dls, "codec") and hasattr(dls, "preprocess")):
        raise TrainingError(
            "These DataLoaders do not say what their masks hold. Make them with "
            "ImageMaskDataLoaders, or with a DataBlock of PairImageBlock and PairMaskBlock."
        )
    n_in, n_out = dls.preprocess.channels, dls.codec.n_out
    loss_func = loss_func if loss_func is not None else CombinedLoss()
    splitter, frozen = trainable_params, False
    options = {"width": width, "depth": depth, "norm": norm}
    options = {name: value for name, value in options.items() if value is not None}
    if options and arch != "unet":
        raise ArchitectureError(f'{", ".join(options)}: these belong to arch="unet".')
    if isinstance(arch, nn.Module):
        model = arch
    elif arch == "unet":
        default_width = 16 if torch.device(dls.device).type == "cpu" else 32
        model = UNet(n_in, n_out, **{"width": default_width, **options})
    elif callable(arch):
        model, splitter = _fastai_unet(dls, arch, n_in, n_out, pretrained, loss_func, kwargs)
        frozen = pretrained
    else:
        raise ArchitectureError(
            f'arch={arch!r} is unknown: "unet", a torchvision callable such as resnet34, or an '
            "nn.Module was expected."
        )
    learn = SegmentationLearner(
        dls,
        model,
        loss_func=loss_func,
        metrics=default_metrics() if metrics is None else metrics,
        lr=lr,
        path=path,
        cbs=[AutoPrecision(precision, channels_last), *L(cbs)],
        **{"splitter": splitter, **kwargs},
    )
    learn.save_best = save_best
    if frozen:
        learn.freeze()
    return learn


def _fastai_unet(dls, arch, n_in, n_out, pretrained, loss_func, kwargs):
    """Network and splitter of fastai's `unet_learner`; its options are taken out of `kwargs`."""
    theirs = ("weights", "cut", "blur", "blur_final", "self_attention", "y_range", "last_cross",
              "bottle", "act_cls", "init", "norm_type")  # fmt: skip
    options = {name: kwargs.pop(name) for name in theirs if name in kwargs}
    try:
        made = unet_learner(
            dls, arch, normalize=False, n_out=n_out, n_in=n_in, pretrained=pretrained,
            loss_func=loss_func, **options,
        )  # fmt: skip
    except URLError as error:
        raise ArchitectureError(
            f"The ImageNet weights of {arch.__name__} could not be downloaded ({error.reason}). "
            "Start without them: pretrained=False, or --no-pretrained. Or fetch the file elsewhere "
            f"and put it into {torch.hub.get_dir()}/checkpoints."
        ) from error
    if not options.keys() - {"weights"}:
        made.model.fastunet_spec = {
            "kind": "fastai",
            "encoder": arch.__name__,
            "n_classes": n_out,
            "size": list(dls.preprocess.size),
            "in_channels": n_in,
        }
    return made.model, made.splitter
