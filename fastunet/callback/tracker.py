"""`Tracker`: a training as TensorBoard, Weights & Biases or MLflow show it."""

import math
import tempfile
import time
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.core import GatherPredsCallback
from fastai.callback.schedule import LRFinder
from fastai.torch_core import rank_distrib
from torch.nn.parallel import DistributedDataParallel

from fastunet._util.warn import warn
from fastunet.callback.best_model import SaveBestModel
from fastunet.callback.lookup import find_callback
from fastunet.callback.plain import PlainCallback
from fastunet.callback.random_numbers import same_random_numbers
from fastunet.callback.time_budget import StepTimer
from fastunet.callback.tracking_services import SERVICES, TrackedRun, check_installed
from fastunet.choices import TrackingService
from fastunet.data.show import show_predictions
from fastunet.logits import activate, decide

_NOT_A_FIT = (LRFinder, StepTimer, GatherPredsCallback)
_DRAWING = 0.05  # of the time, at most, goes into pictures between the first and the last


class Tracker(PlainCallback):
    """Report a fit to tracking services: options, losses, scores, rate, pictures of predictions.

    Losses and metrics come once an epoch, loss, rate and momentum every few batches; steps are
    batches. The pictures are of the same validation images each time: image, truth, prediction. At
    the end come the best epoch and its scores. All fits with one tracker are one run, and a fit
    that goes on from a checkpoint goes on in its run.

    A service that fails is given up with a warning; the training goes on. The training itself is
    the same, number by number, with and without.

    >>> learn.fit_one_cycle(20, 3e-3, cbs=Tracker("tensorboard"))

    "tensorboard" writes to `tensorboard/` in `folder`, "wandb" to `wandb/` in the working directory
    (offline, unless WANDB_MODE says otherwise), "mlflow" to MLFLOW_TRACKING_URI, or to `mlflow.db`
    in the working directory. Raises `OptionError` where a client is not installed.
    """

    remembered = ("run_ids", "steps", "epochs")
    order = 65  # when the epoch is recorded and the best one is kept, before checkpoints

    def __init__(
        self,
        *services: TrackingService,
        folder: str | Path = ".",  # of TensorBoard's files
        name: str | None = None,  # of the run; None: the service's choice, or the folder's name
        config: Mapping[str, Any] | None = None,  # options of the run; None: the learner's
        every: int = 10,  # batches between reports of loss, rate and momentum
        images: int = 4,  # in a picture; 0: no pictures
        bundle: bool = False,  # give the best model to the service too; TensorBoard takes none
        keep_open: bool = False,  # until `finish` is called: there are scores to come
    ):
        super().__init__()
        for service in services:
            check_installed(service)
        self.services, self.folder = services, Path(folder)
        self.run_name, self.config = name or self.folder.resolve().name, config
        self.every, self.images = every, images
        self.with_bundle, self.keep_open = bundle, keep_open
        self.run_ids: dict[TrackingService, str] = {}
        self.steps = self.epochs = 0  # of all fits
        self._runs: dict[TrackingService, TrackedRun] = {}  # those that are open
        self._given_up: set[TrackingService] = set()
        self._fits = False
        self._examples: tuple[Any, ...] | None = None
        self._drawn, self._drawing = -math.inf, 0.0  # when, and seconds it took

    # --- what fastai calls ------------------------------------------------------------------------

    def before_fit(self):  # of `validate` and `get_preds`, too
        self._fits = False

    def before_train(self):
        finds = any(find_callback(self.learn, kind) for kind in _NOT_A_FIT)
        self._fits = not finds and not rank_distrib()  # the first process reports
        if self._fits and not self._runs:
            self._begin()

    def after_batch(self):
        if not (self._fits and self.training):
            return
        self.steps += 1
        if self._runs and self.steps % self.every == 0:
            hyper = self.opt.hypers[-1]
            momentum = {"batch/momentum": hyper["mom"]} if "mom" in hyper else {}
            values = {"batch/loss": self.loss.detach(), "batch/rate": hyper["lr"], **momentum}
            self._log({name: float(value) for name, value in values.items()})

    def after_epoch(self):
        if not self._fits:
            return
        names = self.recorder.metric_names[1:]
        values = dict(zip(names, self.recorder.values[-1], strict=False))
        self._log({"epoch": float(self.epochs), **_finite(values)})
        self.epochs += 1
        self._draw()

    def after_fit(self):
        if not (self._fits and self._runs):
            return
        self._draw(final=True)
        best = next(
            (cb for cb in self.learn.cbs if isinstance(cb, SaveBestModel) and cb.scores), None
        )
        if best is not None:
            scores = {f"best/{name}": value for name, value in _finite(best.scores).items()}
            self._summary({"best/epoch": float(best.best_epoch or 0), **scores})
        if self.with_bundle:
            with tempfile.TemporaryDirectory(prefix="fastunet-") as folder:
                self.learn.save_bundle(folder, _finite(best.scores) if best else {})
                self._each("bundle", Path(folder))
        if not self.keep_open:
            self.finish()

    # --- what others call -------------------------------------------------------------------------

    def finish(
        self,
        scores: Mapping[str, Any] | None = None,  # by name; those that are no numbers are left out
    ) -> None:
        """End the run, with the final scores where there are some."""
        if scores:
            self._summary(_finite(scores))
        self._each("finish")
        self._runs = {}

    # --- to the services --------------------------------------------------------------------------

    def _begin(self) -> None:
        config = self._config() if self.config is None else self.config
        for service in self.services:
            if service not in self._given_up:
                self._runs[service] = SERVICES[service](self.folder)
        for service in list(self._runs):
            known = self.run_ids.get(service)
            found = self._call(service, "begin", self.run_name, config, known, self.steps)
            if found is not None:
                self.run_ids[service] = found

    def _config(self) -> dict[str, Any]:
        """What a learner says of itself."""
        dls, model = self.dls, self.learn.model
        return {
            "network": type(model).__name__,
            "parameters": sum(p.numel() for p in model.parameters()),
            "loss": type(self.learn.loss_func).__name__,
            "optimizer": getattr(self.learn.opt_func, "__name__", str(self.learn.opt_func)),
            "bs": dls.train.bs,
            "epochs": self.n_epoch,
            "train items": len(dls.train_ds),
            "valid items": len(dls.valid_ds),
            "device": str(dls.device),
        }

    def _log(self, values: Mapping[str, float]) -> None:
        self._each("numbers", values, self.steps)

    def _summary(self, values: Mapping[str, float]) -> None:
        self._each("summary", values, self.steps)

    def _each(self, what: str, *arguments: Any) -> None:
        for service in list(self._runs):
            self._call(service, what, *arguments)

    def _call(self, service: TrackingService, what: str, *arguments: Any) -> Any:
        """A service is a convenience: whatever goes wrong in it, the training goes on."""
        try:
            return getattr(self._runs[service], what)(*arguments)
        except Exception as error:  # each client, disk and server has its own
            del self._runs[service]
            self._given_up.add(service)
            said = " ".join(str(error).split())[:300]
            warn(
                f"{service} failed, and nothing more is reported to it; the training goes on "
                f"({type(error).__name__}: {said})."
            )

    # --- pictures ---------------------------------------------------------------------------------

    def _draw(self, final: bool = False) -> None:
        """A picture of the predictions, unless the last one was a moment ago."""
        now = time.perf_counter()
        if not (self._runs and self.images):
            return
        if not final and now - self._drawn < self._drawing / _DRAWING:
            return
        picture = self._panels()
        if picture is not None:
            name = "predictions of the best epoch" if final else "predictions"
            self._each("picture", name, picture, self.steps)
        self._drawn = time.perf_counter()
        self._drawing = self._drawn - now

    @torch.no_grad()
    def _panels(self) -> np.ndarray | None:  # (H, W, 3) uint8
        """Image, ground truth and prediction of the examples; None where there are none."""
        if self._examples is None:
            self._examples = self._chosen()
        if not self._examples:
            return None
        batch, images, truths = self._examples
        model = self.learn.model
        if isinstance(model, DistributedDataParallel):
            model = model.module
        was_training = model.training
        logits = model.eval()(batch)
        model.train(was_training)
        predicted = decide(activate(logits.float()), getattr(self.learn, "threshold", 0.5))
        masks = [mask.astype(np.uint8) for mask in predicted.cpu().numpy()]
        return _drawn(show_predictions(images, truths, masks, self.dls.codec))

    def _chosen(self) -> tuple[Any, ...]:
        """Some validation images, spread over all: the batch, images and truths to draw."""
        loader = self.dls.valid
        count = min(self.images, len(loader.dataset))
        if not count or not hasattr(self.dls, "codec"):
            return ()
        places = [i * len(loader.dataset) // count for i in range(count)]
        with same_random_numbers(self.dls):
            some = loader.new(get_idxs=lambda: places, n=count, bs=count, shuffle=False)
            images, masks = (part.as_subclass(torch.Tensor) for part in some.one_batch()[:2])
        pixels = self.dls.preprocess.denormalise(images.float()).permute(0, 2, 3, 1).cpu().numpy()
        truths = [mask.astype(np.uint8) for mask in masks.cpu().numpy()]
        return images, list(pixels), truths


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Those that are numbers."""
    numbers = {n: v for n, v in values.items() if isinstance(v, Real)}
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def _drawn(figure) -> np.ndarray:  # (H, W, 3) uint8
    """A matplotlib figure as pixels; it is closed."""
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    plt.close(figure)
    return pixels
