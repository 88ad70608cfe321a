"""`segmentation_learner`: a network on image/mask pairs, as a fastai `Learner`."""

import inspect
import io
import math
import os
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from fastai.callback.core import CancelEpochException
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.callback.schedule import SuggestionMethod
from fastai.data.core import DataLoaders
from fastai.learner import Learner, mk_metric
from fastai.torch_core import rank_distrib
from fastcore.foundation import L
from fastcore.xtras import join_path_file
from torch import nn

from fastunet._util.files import write_atomically
from fastunet._util.terminal import say
from fastunet.callback.auto_precision import AutoPrecision
from fastunet.callback.batch_size import BatchSizes, measure_batch_sizes
from fastunet.callback.best_model import KeepBest
from fastunet.callback.checkpoint import Checkpoint
from fastunet.callback.device_trial import try_device
from fastunet.callback.guard import Guard
from fastunet.callback.lookup import find_callback
from fastunet.callback.micro_batches import MicroBatches
from fastunet.callback.rate_finder import LEAST, batches_within, plot_rates
from fastunet.callback.time_budget import Schedule, fit_for
from fastunet.callback.trial import trial
from fastunet.data.augment import Augment
from fastunet.data.dataloaders import renormalised
from fastunet.data.transforms import RandomView
from fastunet.errors import TrainingError
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle, check_threshold
from fastunet.inference.tta import TURNS, AveragedViews, Turn
from fastunet.io.sources import Source
from fastunet.losses import CombinedLoss, SegmentationLoss, adapt_loss
from fastunet.masks.codec import MaskCodec
from fastunet.metrics import LossTerm, adapt_metrics, default_metrics, loss_terms
from fastunet.models.build import build, default_width, describe
from fastunet.models.forward_check import check_network
from fastunet.models.network import HasPrior
from fastunet.models.normalisation import normalisation_of
from fastunet.models.parameter_groups import split_parameters
from fastunet.optimizer import AdamW
from fastunet.precision import Precision
from fastunet.preprocess import Preprocess


class SegmentationLearner(Learner):
    """A fastai `Learner` that keeps its best model, predicts at full size and saves bundles.

    When a fit ends, the weights of its best epoch are loaded. With a `SaveModelCallback` of your
    own among the callbacks, that one decides.

    Of two classes `threshold` decides everywhere: in metrics, `validate`, `get_preds`, `predict`,
    `show_results`, `predict_mask`, `evaluate` and the bundle. `save` and `load` keep it.
    """

    save_best: bool = True  # load the weights of the best epoch when a fit ends
    monitor: str | None = None  # the value that says which epoch is the best; None: first metric
    threshold: float = 0.5  # binary: foreground is what is more probable than this
    model: nn.Module
    model_dir: str | Path
    loss_func: SegmentationLoss
    epoch: int
    _saves: bool = True  # not while it looks for a learning rate
    _tried: bool = False  # whether the device has been, where it is no CPU

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.add_cbs([KeepBest(), MicroBatches()])

    @property
    def monitored(self) -> str:
        """The name of the value that says which epoch is the best."""
        return self.monitor or (self.metrics[0].name if self.metrics else "valid_loss")

    def fit(self, n_epoch, lr=None, wd=None, cbs=None, reset_opt=False, start_epoch=0) -> None:
        """As `Learner.fit`."""
        self._adapt_loss()
        if not self._tried and next(self.model.parameters()).device.type != "cpu":
            self._tried = True
            try_device(self)
        checkpoint = next((cb for cb in L(cbs) if isinstance(cb, Checkpoint)), None)
        with checkpoint.stopped_in_order() if checkpoint else nullcontext():
            super().fit(n_epoch, lr, wd, cbs, reset_opt, start_epoch)

    def _do_one_batch(self) -> None:
        """As `Learner._do_one_batch`, in parts where memory does not suffice for the whole."""
        parts = find_callback(self, MicroBatches)
        if parts:
            parts.attempt(super()._do_one_batch)
        else:
            super()._do_one_batch()

    def find_batch_size(
        self,
        seconds: float = 30.0,  # that it may take, about
    ) -> BatchSizes:  # what was measured; `chosen` is the size
        """Measure which batch size trains fastest, and take it, in these very loaders.

        A few steps with 4, 8, 16, ... images, as long as more of them a second come of it and
        memory suffices; no trace is left in weights, optimizer and random numbers. What
        `bs="auto"` does.
        """
        found = measure_batch_sizes(self, seconds)
        for loader in self.dls.loaders:
            loader.bs = found.chosen
        self.dls.measures_bs = False
        return found

    def _do_fit(self) -> None:
        """As `Learner._do_fit`, from the epoch where the fit goes on to as many as there are then.

        Where the clock ends a fit there may be more than were planned.
        """
        epoch = self.epoch
        while epoch < self.n_epoch:
            self.epoch = epoch
            self._with_events(self._do_epoch, "epoch", CancelEpochException)
            epoch += 1

    def fit_one_cycle(
        self,
        n_epoch: int,
        lr_max: float | slice | Literal["auto"] | None = None,  # "auto" asks `lr_find`; None: `lr`
        *args,  # as in `Learner.fit_one_cycle`
        **kwargs,
    ) -> None:
        """As `Learner.fit_one_cycle`."""
        rate = self.lr_find(show_plot=False).valley if lr_max == "auto" else lr_max
        super().fit_one_cycle(n_epoch, rate, *args, **kwargs)

    def lr_find(
        self,
        start_lr: float = 1e-7,
        end_lr: float = 10,
        num_it: int = 100,  # batches
        stop_div: bool = True,  # stop where the loss diverges
        show_plot: bool = True,  # the curve, with the suggestions marked
        suggest_funcs=SuggestionMethod.Valley,  # one or more of `SuggestionMethod`, or None
        seconds: float | None = None,  # time for it: where more batches would take longer, fewer
    ) -> Any:  # the suggested rates, by the names of the functions: `.valley`; or None
        """As `Learner.lr_find`, without a trace in weights, optimizer and random numbers.

        Raises `TrainingError` where fewer than 20 batches fit into `seconds`.
        """
        if seconds is not None:
            num_it = batches_within(self, num_it, seconds)
            if num_it < LEAST:
                raise TrainingError(
                    f"lr_find: {num_it} batches fit into {seconds:.0f} s; {LEAST} are the fewest "
                    "that say something. Give it more time, or take smaller batches or images."
                )
        with trial(self), TemporaryDirectory(prefix="fastunet-") as scratch:
            model_dir, self.model_dir = self.model_dir, scratch  # where fastai makes a folder
            self._saves = False  # `trial` puts the weights back
            try:
                found = super().lr_find(start_lr, end_lr, num_it, stop_div, False, suggest_funcs)
            finally:
                self.model_dir, self._saves = model_dir, True
        if show_plot:
            suggestions = found._asdict() if found else {}
            plot_rates(self.recorder.lrs[:-5], self.recorder.losses[:-5], suggestions)
        return found

    def fit_minutes(
        self,
        minutes: float,  # wall clock: measuring the first steps, training and validation
        lr_max: float | slice | Literal["auto"] | None = None,  # as in `fit_one_cycle`
        until: Callable[[], float] | None = None,  # says anew when it ends; asked now and then
        **kwargs,  # as in `fit_one_cycle`
    ) -> Schedule:
        """`fit_one_cycle` that ends when `minutes` are over; its schedule follows the clock.

        What must follow within the same time may take longer or shorter than was thought, on a
        machine that others use too: `until` gives the end by `time.perf_counter`.

        Returns what was planned after the first steps: epochs, batches per epoch, seconds. Warns
        where only a few batches fit into the time.
        """
        if not 0 < minutes < math.inf:
            raise TrainingError(f"minutes={minutes}: there is no time to train.")
        ends = time.perf_counter() + 60 * minutes
        rate = lr_max
        if rate == "auto":
            rate = self.lr_find(show_plot=False, seconds=0.25 * 60 * minutes).valley
        return fit_for(self, ends - time.perf_counter(), rate, until=until, **kwargs)

    @property
    def metrics(self) -> L:
        """What is measured on the validation part; see `adapt_metrics` for what may be set."""
        return self._metrics

    @metrics.setter
    def metrics(self, metrics):
        self._metrics = L(adapt_metrics(metrics, self._n_out)).map(mk_metric)

    @property
    def _n_out(self) -> int:
        return _codec_and_preprocess(self.dls)[0].n_out

    # the number format

    def add_cb(self, cb):
        """As `Learner.add_cb`; fastai's `MixedPrecision` sets the format of `AutoPrecision`."""
        if isinstance(cb, MixedPrecision):
            return self._with_precision("bf16" if cb.amp_mode == AMPMode.BF16 else "fp16")
        return super().add_cb(cb)

    def to_fp16(self, **scaling) -> "SegmentationLearner":
        """Train in float16; `scaling` are options of `torch.amp.GradScaler`."""
        return self._with_precision("fp16", scaling)

    def to_bf16(self) -> "SegmentationLearner":
        """Train in bfloat16."""
        return self._with_precision("bf16")

    def to_fp32(self) -> "SegmentationLearner":
        """Train in float32."""
        return self._with_precision("fp32")

    def _with_precision(self, precision: Precision, scaling: dict | None = None):
        chosen = find_callback(self, AutoPrecision)
        if chosen is None:
            chosen = AutoPrecision()
            self.add_cb(chosen)
        chosen.precision, chosen.scaling = precision, scaling or {}
        return self

    # predicting

    def _adapt_loss(self) -> None:
        """A loss that was set on the learner is adapted as one that is passed when it is made."""
        if not isinstance(self.loss_func, SegmentationLoss):
            self.loss_func = adapt_loss(self.loss_func, self._n_out, self.dls.device)
            # without the terms of the loss before
            self.metrics = [m for m in self.metrics if not isinstance(m, LossTerm)]

    def validate(self, *args, **kwargs):
        """As `Learner.validate`."""
        self._adapt_loss()
        return super().validate(*args, **kwargs)

    def get_preds(self, *args, **kwargs) -> tuple:
        """As `Learner.get_preds`; what it decodes is decided by `threshold`."""
        self._adapt_loss()
        with self._deciding():
            return super().get_preds(*args, **kwargs)

    @contextmanager
    def _deciding(self) -> Iterator[None]:
        """Within, the loss decodes by this learner's threshold."""
        check_threshold(self.threshold)
        loss = self.loss_func
        before, loss.threshold = loss.threshold, self.threshold
        try:
            yield
        finally:
            loss.threshold = before

    def tta(
        self,
        ds_idx: int = 1,  # the part: 0 training, 1 validation
        dl=None,  # or a `DataLoader`
        n: int | None = None,  # views of each image: 2 mirrored, 4 also upside down, 8 also turned
        **kwargs,  # as in `get_preds`
    ) -> tuple:
        """Predictions that are means over flipped and turned views, each turned back.

        Without `n` the views are those that training shows: mirrored, upside down and turned where
        its augmentation does so. fastai's own averages random views that are not undone, which is
        wrong for masks; its options for those are refused with `TrainingError`.
        """
        if unknown := sorted(kwargs.keys() & {"item_tfms", "batch_tfms", "beta", "use_max"}):
            raise TrainingError(
                f"{', '.join(unknown)}: not known to tta here, which averages flipped and turned "
                "views rather than random ones. Pass n=2, 4 or 8 for the number of views."
            )
        turns = self._turns_of_training() if n is None else TURNS[:n]
        if n is not None and n not in (1, 2, 4, 8):
            raise TrainingError(f"n={n}: 1, 2, 4 or 8 views were expected.")
        model = self.model
        self.model = AveragedViews(model, turns)
        try:
            return self.get_preds(ds_idx, dl, **kwargs)
        finally:
            self.model = model

    def _turns_of_training(self) -> tuple[Turn, ...]:
        view = next((t for t in self.dls.train.after_item if isinstance(t, RandomView)), None)
        augment = view and view.augment
        if not isinstance(augment, Augment):
            return TURNS[:1]
        if augment.flip_ud:
            return TURNS if augment.rotate >= 90 else TURNS[:4]
        return TURNS[:2] if augment.flip_lr else TURNS[:1]

    def segmenter(self) -> Segmenter:
        """The model with its preprocessing and classes, as it predicts once it is saved."""
        return Segmenter(self.model, *_codec_and_preprocess(self.dls), threshold=self.threshold)

    def predict_mask(
        self,
        image: Source | Iterable[Source],  # as in `Segmenter.predict`
    ) -> np.ndarray | list[np.ndarray]:  # (H, W) uint8 class indices; of several images a list
        """The class of each pixel, at the image's own size."""
        return self.segmenter().predict(image)

    # keeping it

    def save(self, file, **kwargs):
        """As `Learner.save`, written whole or not at all; `load` reads the threshold back too."""
        if not isinstance(file, str | Path):
            return super().save(file, **kwargs)
        path = join_path_file(file, self.path / self.model_dir, ext=".pth")
        if rank_distrib() or not self._saves:  # the first process writes
            return path
        content = io.BytesIO()
        super().save(content, **kwargs)
        with zipfile.ZipFile(content, "a") as archive:  # torch.load passes over it
            archive.writestr(_THRESHOLD, str(self.threshold))
        write_atomically(path, content.getvalue())
        return path

    def load(self, file, device=None, **kwargs) -> "SegmentationLearner":
        """As `Learner.load`, and the threshold that was saved with the weights, if any."""
        super().load(file, device=device, **kwargs)
        if isinstance(file, str | Path):
            path = join_path_file(file, self.path / self.model_dir, ext=".pth")
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    if _THRESHOLD in archive.namelist():
                        self.threshold = float(archive.read(_THRESHOLD))
        return self

    def save_bundle(
        self,
        path: str | os.PathLike,  # a folder, made where it is missing
        metrics: dict | None = None,  # what to write down; None: the validation part is measured
        training: dict | None = None,  # how it was made, any JSON values
    ) -> Path:
        """Write `model.safetensors` and `bundle.json`, all that `Segmenter.load` needs.

        The scores in it are those of the weights in it: without `metrics` they are measured now,
        at the network's input size; those of `evaluate` are at the images' own.
        """
        if metrics is None:
            metrics = self._measured()
        codec, preprocess = _codec_and_preprocess(self.dls)
        return Bundle(
            architecture=describe(self.model),
            weights=self.model.state_dict(),
            codec=codec,
            preprocess=preprocess,
            metrics=metrics,
            training=training or {},
            threshold=self.threshold,
        ).save(path)

    def _measured(self) -> dict:
        """The scores of the weights as they are, on the validation part."""
        if not len(self.dls.valid_ds):
            return {}
        values = self.validate()
        names = ["valid_loss", *(metric.name for metric in self.metrics)]
        scores = {
            name: float(value) if value is not None and math.isfinite(value) else None
            for name, value in zip(names, values, strict=True)
        }  # JSON has no nan
        return {"split": "valid", "resolution": "network input", **scores}


def segmentation_learner(
    dls: DataLoaders,  # `ImageMaskDataLoaders`, or of `PairImageBlock` and `PairMaskBlock`
    arch: str | Callable | nn.Module = "unet",  # which network; see below
    *,
    pretrained: bool = True,  # an encoder starts from ImageNet weights
    frozen: bool = True,  # such an encoder is frozen until `unfreeze` or `fine_tune`
    weights: str | os.PathLike | None = None,  # a file of such weights, instead of the published
    normalize: bool = True,  # pretrained encoders get pixels normalised as they know them
    loss_func: Callable | None = None,  # ours, or any other of logits; None: `CombinedLoss()`
    metrics: Sequence | None = None,  # ours, fastai's, torchmetrics' or functions; None: see below
    lr: float = 3e-3,  # peak learning rate where none is given to fit
    precision: Precision = "auto",  # "bf16", "fp16", "fp32", or what is fast on the device
    channels_last: bool = True,  # memory format
    save_best: bool = True,  # keep and load the best epoch
    monitor: str | None = None,  # the best by this value, such as "valid_loss"; None: first metric
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

    The optimizer is AdamW; `opt_func=AdamW.cautious` may learn faster, and any of fastai's do too.

    Losses of other libraries see logits and truth as they want them, without void (`AdaptedLoss`),
    and so do metrics (`adapt_metrics`); without any there are Dice, IoU, accuracy, and each term of
    the loss.

    Raises `ArchitectureError` where `arch` is none of these, where weights cannot be had, and where
    the network does not map these images to logits; `TrainingError` where a loss or a metric does
    not fit the task.
    """
    codec, preprocess = _codec_and_preprocess(dls)
    options = {name: kwargs.pop(name) for name in kwargs.keys() - _LEARNERS_OWN}
    if arch == "unet":
        options.setdefault("width", default_width(dls.device))
    channels, n_out, size = preprocess.channels, codec.n_out, preprocess.size
    start = weights if weights is not None and pretrained else pretrained
    model = build(arch, channels, n_out, size, weights=start, options=options)
    statistics = normalisation_of(model) if normalize else None
    if statistics is not None:
        dls = renormalised(dls, *statistics)
    if model is not arch and isinstance(model, HasPrior):
        counts = _class_counts(dls, sample=_MASKS)
        model.set_prior([count / max(1, sum(counts)) for count in counts])
    if isinstance(arch, nn.Module):
        check_network(model, channels, n_out, size, dls.device)
    loss = adapt_loss(CombinedLoss if loss_func is None else loss_func, n_out, dls.device)
    if loss.needs_counts:
        loss.set_class_counts(_class_counts(dls))
    if metrics is None:
        metrics = [*default_metrics(), *loss_terms(loss)]
    learn = SegmentationLearner(
        dls,
        model,
        loss_func=loss,
        metrics=metrics,
        lr=lr,
        path=path,
        cbs=[AutoPrecision(precision, channels_last), Guard(), *L(cbs)],
        **{"splitter": split_parameters, "opt_func": AdamW, **kwargs},
    )
    learn.save_best, learn.monitor = save_best, monitor
    if getattr(dls, "measures_bs", False):
        say(f"Batch size: {learn.find_batch_size()}")
    if model is not arch and arch != "unet" and pretrained and frozen:
        learn.freeze()
    return learn


_THRESHOLD = "archive/fastunet-threshold"  # a record in the file that `save` writes
_LEARNERS_OWN = inspect.signature(Learner.__init__).parameters.keys()
_MASKS = 100  # that are looked at for the frequency of the classes


# --- what is read of the data --------------------------------------------------------------------


def _codec_and_preprocess(dls: DataLoaders) -> tuple[MaskCodec, Preprocess]:
    """What the masks hold and how images are fed, as the transforms of `dls` say.

    Raises `TrainingError` where they do not say it.
    """
    try:
        return dls.codec, dls.preprocess
    except AttributeError as error:
        raise TrainingError(
            "These DataLoaders do not say what their masks hold. Make them with "
            "ImageMaskDataLoaders, or with a DataBlock of PairImageBlock and PairMaskBlock."
        ) from error


def _class_counts(dls: DataLoaders, sample: int | None = None) -> list[int]:
    """Pixels of each class in the training masks, or in some of them."""
    return dls.reader.class_counts(list(dict.fromkeys(dls.train_ds.items)), sample).tolist()
