"""Checkpoints of a fit, and a fit that goes on from one as if it had not been stopped."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import CSVLogger, ProgressCallback
from fastai.callback.schedule import ParamScheduler
from fastai.callback.tracker import (
    EarlyStoppingCallback,
    ReduceLROnPlateau,
    SaveModelCallback,
    TrackerCallback,
)
from fastai.callback.training import GradientAccumulation
from fastai.learner import Recorder
from fastai.torch_core import to_device

from fastunet._util import processes
from fastunet._util.files import make_folder, write_atomically
from fastunet._util.interrupts import uninterrupted
from fastunet._util.processes import from_first
from fastunet.callback.checkpoint_file import file_name, files_in, newest, write
from fastunet.callback.plain import PlainCallback
from fastunet.callback.random_numbers import random_states, set_random_states
from fastunet.data.loader import PairDL
from fastunet.errors import OutputError, TrainingError

# What callbacks of others remember from batch to batch. Ours, and yours, list it as `remembered`.
_REMEMBERED: dict[type[Callback], tuple[str, ...]] = {
    Recorder: ("lrs", "losses", "iters", "values"),
    ParamScheduler: ("hps",),
    TrackerCallback: ("best", "new_best"),
    EarlyStoppingCallback: ("wait",),
    ReduceLROnPlateau: ("wait",),
    GradientAccumulation: ("count",),
}


class Checkpoint(PlainCallback):
    """Write down a fit, so that it goes on where it was stopped, and ends as if it had not been.

    A checkpoint is written at the end of each epoch, every few minutes within one, and where Ctrl-C
    or SIGTERM ask the process to end: that is done after the batch, a second time ends it at once.
    With `resume` the same call of `fit`, `fit_one_cycle`, `fine_tune`, ... by a new process goes on
    with the batch after the last checkpoint; where there is none it begins. On a CPU, with as many
    threads, all weights and scores are then those of a fit that was not stopped, bit for bit. The
    minutes of `fit_minutes` count anew.

    >>> learn.fit_one_cycle(20, 3e-3, cbs=Checkpoint("checkpoints", resume=True))

    It holds the model, the optimizer, the place in the schedule, the scaler of float16, all random
    numbers, the history, the scores so far and the files of the best model. What other callbacks
    remember goes along where they name it: `remembered = ("attribute", ...)`; values are numbers,
    texts, tensors, lists and dicts of them, and objects with a `state_dict`.

    Augmentation that draws random numbers of its own (as that of Albumentations does) goes on with
    others. Metrics over the training part begin anew in an epoch that goes on. Raises `OutputError`
    where the folder holds checkpoints and `resume` is not set, and `TrainingError` where they are
    of another fit.
    """

    order = 1002  # when all others have seen the batch, also the clock

    def __init__(
        self,
        folder: str | Path,  # for nothing else; made where it is missing
        minutes: float = 10,  # between checkpoints within an epoch
        keep: int = 2,  # so many of the last ones; that of the best epoch too
        resume: bool = False,  # go on from the last one
    ):
        super().__init__()
        self.folder, self.minutes, self.keep = Path(folder), minutes, keep
        # the state to go on from
        self.resumed = from_first(lambda: newest(self.folder)) if resume else None
        if not resume and files_in(self.folder):
            raise OutputError(
                f"{folder} holds checkpoints of an earlier fit. Pass resume=True to go on with it, "
                "or choose another folder."
            )
        before = self.resumed or {"best file": None, "seconds": 0.0}
        self.best_file: str | None = before["best file"]  # the checkpoint of the best epoch
        self._begun = time.monotonic() - before["seconds"]
        self._number = -1  # of the fit, from 0: `fine_tune` makes two
        self._waiting: list[int] = []  # signals

    def told_by(self, kind: type[Callback]) -> dict[str, Any]:
        """What a callback of this class remembered in the checkpoint to go on from, if any."""
        return self.resumed["callbacks"].get(f"{kind.__name__} 0", {}) if self.resumed else {}

    @property
    def epochs_done(self) -> int:
        """Of the fit that is to go on."""
        return self.resumed["epoch"] if self.resumed else 0

    @property
    def seconds(self) -> float:
        """Of training so far, in all processes."""
        return time.monotonic() - self._begun

    @contextmanager
    def stopped_in_order(self) -> Iterator[None]:
        """Within, signals wait for the next checkpoint; the learner's `fit` is."""
        with uninterrupted(patient=False) as self._waiting:
            yield

    # --- when it is written -----------------------------------------------------------------------

    def before_fit(self):
        self._number += 1
        for cb in self._by_name(ProgressCallback).values():
            if bar := vars(cb).get("mbar"):
                bar.update(0)  # it has to begin there
        self._part: dict[str, Any] | None = None  # the state in an epoch that goes on
        self._written = time.monotonic()
        state = self.resumed
        if state is not None and state["fit"] > self._number:  # this one was finished
            self.learn.epoch = self.n_epoch
        elif state is not None:
            self.resumed = None
            self._restore(state)

    def before_train(self):
        self._done = 0  # batches of this epoch, before it goes on
        self._at_start = random_states(self.dls)
        if self._part is not None:
            state, self._part = self._part, None
            self._enter(state)

    def before_batch(self):
        if self.training:
            self.learn.iter += self._done
            self._batches = self.iter + 1

    def before_validate(self):
        self._before_validation = random_states(self.dls)

    def after_batch(self):
        late = time.monotonic() - self._written >= 60 * self.minutes
        self._agree()
        if self._waiting or (late and self.training):
            self._save(self.epoch, self._batches)

    def after_epoch(self):
        if any(vars(cb).get("new_best") for cb in self._savers().values()):
            self.best_file = file_name(self._number, self.epoch + 1, 0)
        self._agree()
        self._save(self.epoch + 1, 0)

    def _agree(self) -> None:
        """A signal that reached one process of a distributed run stops all, after this batch."""
        if processes.count() > 1:
            signal = processes.highest(max(self._waiting, default=0))
            self._waiting[:] = [signal] if signal else []

    def _save(self, epoch: int, batches: int) -> None:
        """Write where the fit goes on. Ends it, where a signal waits."""
        if processes.is_first():
            name = file_name(self._number, epoch, batches)
            write(self.folder / name, self._state(epoch, batches))
            for old in files_in(self.folder)[: -self.keep]:
                if old.name != self.best_file:
                    old.unlink()
        self._written = time.monotonic()
        if self._waiting:
            raise KeyboardInterrupt(f"Stopped. The fit can go on from {self.folder}.")

    # --- what it holds ----------------------------------------------------------------------------

    def _state(self, epoch: int, batches: int) -> dict[str, Any]:
        learn, validates = self.learn, batches > 0 and not self.training
        return {
            "fit": self._number,
            "epoch": epoch,
            "batches": batches,
            "validates": validates,  # the epoch's training is over
            "same": self._same(),
            "model": learn.model.state_dict(),
            "optimizer": learn.opt.state_dict(),
            "gradients": [_pending(p) for p in learn.model.parameters()],
            "pct_train": learn.pct_train,
            "train_iter": learn.train_iter,
            "smooth loss": vars(self.recorder.smooth_loss),
            "epoch seconds": time.time() - self.recorder.start_epoch,
            "seconds": self.seconds,
            "callbacks": {name: _memory(cb) for name, cb in self._by_name().items()},
            "history": {name: _text(cb) for name, cb in self._by_name(CSVLogger).items()},
            "best models": {name: self._files(cb) for name, cb in self._savers().items()},
            "best file": self.best_file,
            "scores": self._scores() if not batches else {},
            "random": self._before_validation if validates else random_states(self.dls),
            "random at start": self._at_start if batches else {},
        }

    def _by_name(self, kind: type[Callback] = Callback) -> dict[str, Any]:
        """The callbacks of a kind by their class, and by their number in it."""
        count: Counter[str] = Counter()
        named = {}
        for cb in self.learn.cbs:
            name = type(cb).__name__
            named[f"{name} {count[name]}"] = cb
            count[name] += 1
        return {name: cb for name, cb in named.items() if isinstance(cb, kind)}

    def _savers(self) -> dict[str, SaveModelCallback]:
        """The callbacks that have kept a model on disk."""
        every = self._by_name(SaveModelCallback).items()
        return {name: cb for name, cb in every if cb.last_saved_path is not None}

    def _files(self, saver: SaveModelCallback) -> dict[str, Any]:
        """The path of what it has saved, and the files there, the JSON of a bundle last."""
        path, folder = Path(saver.last_saved_path), self._folder(saver)
        files = sorted(path.glob("[!.]*"), reverse=True) if path.is_dir() else [path]
        return {
            "path": os.path.relpath(path, folder),
            "files": {os.path.relpath(f, folder): _bytes(f) for f in files},
        }

    def _folder(self, saver: SaveModelCallback) -> Path:
        """Where it writes."""
        return vars(saver).get("bundle_folder") or self.learn.path / self.learn.model_dir

    def _scores(self) -> dict[str, float]:
        names = self.recorder.metric_names[1:]
        return {
            n: v for n, v in zip(names, self.recorder.values[-1], strict=False) if v is not None
        }

    def _same(self) -> dict[str, Any]:
        """What a fit that goes on has in common with the one that was stopped."""
        replanned = any(getattr(type(cb), "replans", False) for cb in self.learn.cbs)
        return {
            "epochs": "by the clock" if replanned else self.n_epoch,
            "batches an epoch": len(self.dls.train),
            "weights": sum(p.numel() for p in self.learn.model.parameters()),
        }

    # --- going on ---------------------------------------------------------------------------------

    def _restore(self, state: dict[str, Any]) -> None:
        """All as it was, when the fit has begun."""
        learn = self.learn
        for what, now in self._same().items():
            if now != state["same"][what]:
                raise TrainingError(
                    f"The checkpoints in {self.folder} are of another fit ({what}: "
                    f"{state['same'][what]} there, {now} here). The same call, with the same data "
                    "and network, goes on; for another one choose another folder."
                )
        learn.model.load_state_dict(state["model"])
        device = next(learn.model.parameters()).device
        learn.opt.load_state_dict(to_device(state["optimizer"], device))
        for parameter, gradient in zip(learn.model.parameters(), state["gradients"], strict=True):
            parameter.grad = None if gradient is None else gradient.to(device)
        learn.epoch, learn.train_iter = state["epoch"], state["train_iter"]
        for name, cb in self._by_name(CSVLogger).items():
            if name in state["history"]:
                cb.file.seek(0)
                cb.file.truncate()
                cb.file.write(state["history"][name])
                cb.file.flush()
        for name, cb in self._by_name(SaveModelCallback).items():
            if saved := state["best models"].get(name):
                _put_back(saved["files"], self._folder(cb))
                cb.last_saved_path = self._folder(cb) / saved["path"]
        self._recall(state)
        set_random_states(self.dls, state["random"])
        if state["batches"]:
            self._part = state

    def _recall(self, state: dict[str, Any]) -> None:
        vars(self.recorder.smooth_loss).update(state["smooth loss"])
        for name, cb in self._by_name().items():
            told = state["callbacks"].get(name, {})
            for attribute in told.keys() & _remembered(cb):
                current, value = vars(cb).get(attribute), deepcopy(told[attribute])
                if hasattr(current, "load_state_dict"):
                    current.load_state_dict(value)
                else:
                    setattr(cb, attribute, value)

    def _enter(self, state: dict[str, Any]) -> None:
        """Go on in mid-epoch, when all others have begun the epoch."""
        self._recall(state)
        self.recorder.start_epoch -= state["epoch seconds"]
        self.learn.pct_train = state["pct_train"]
        self._done = self._batches = state["batches"]
        self._at_start = state["random at start"]
        if state["validates"]:
            set_random_states(self.dls, state["random"])
            self.learn.dl = ()
        else:
            set_random_states(self.dls, self._at_start)
            loader, now = self.learn.dl, state["random"]
            self.learn.dl = _Rest(loader, self._done, lambda: set_random_states(self.dls, now))


class _Rest:
    """The batches of an epoch after those that were trained on; its length is the epoch's."""

    def __init__(
        self,
        loader,
        done: int,  # batches
        begin: Callable[[], None],  # what is done before the first
    ):
        self.loader, self.done, self.begin = loader, done, begin

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str):
        return getattr(self.loader, name)

    def __iter__(self):
        """Ours makes none of those before but the last, with which a loader gets going."""
        made = self.done
        if isinstance(self.loader, PairDL):
            self.loader.skip, made = self.done - 1, 1
        batches = iter(self.loader)
        for _ in islice(batches, made):
            pass
        if isinstance(self.loader, PairDL):
            self.loader.skip = 0
        self.begin()
        yield from batches


def _remembered(cb: Callback) -> set[str]:
    """The attributes that change from batch to batch."""
    listed = [names for kind, names in _REMEMBERED.items() if isinstance(cb, kind)]
    return {name for names in (*listed, getattr(type(cb), "remembered", ())) for name in names}


def _memory(cb: Callback) -> dict[str, Any]:
    values = {name: vars(cb).get(name) for name in _remembered(cb)}
    return {n: v.state_dict() if hasattr(v, "state_dict") else v for n, v in values.items()}


def _bytes(file: Path) -> torch.Tensor:
    return torch.from_numpy(np.fromfile(file, np.uint8))


def _put_back(
    files: dict[str, torch.Tensor],  # of the best model, by their path below the folder
    folder: Path,
) -> None:
    """Write them where they are others: a later epoch was the best before the process ended."""
    for name, content in files.items():
        file, data = folder / name, content.numpy().tobytes()
        if not file.resolve().is_relative_to(folder.resolve()):
            raise TrainingError(f"The checkpoint would write to {file}, which is not in {folder}.")
        if not file.is_file() or file.read_bytes() != data:
            make_folder(file.parent)
            write_atomically(file, data)


def _text(cb: CSVLogger) -> str:
    cb.file.flush()
    return (cb.path / cb.fname).read_text()


def _pending(parameter: torch.nn.Parameter) -> torch.Tensor | None:
    """The gradient that waits for a step, as where it is accumulated."""
    gradient = parameter.grad
    return gradient if gradient is not None and gradient.any() else None
