"""Keep the best model of a training run."""

import math
from typing import Any

import numpy as np
from fastai.callback.schedule import LRFinder
from fastai.callback.tracker import SaveModelCallback

from fastunet._util.warn import warn
from fastunet.callback.lookup import find_callback
from fastunet.callback.plain import PlainCallback
from fastunet.errors import TrainingError
from fastunet.models.finite import first_nonfinite

_LOWER_IS_BETTER = ("loss", "error", "hausdorff")  # in a name, where the metric does not say


class SaveBestModel(PlainCallback, SaveModelCallback):
    """Keep the best epoch as fastai's `SaveModelCallback` does, and never a damaged one.

    The best weights so far are in `learn.path/learn.model_dir/<fname>.pth`. They are loaded with
    `weights_only=True` when training ends. `best_epoch` says which epoch that is, and `scores`
    what was recorded for it, by name. An epoch whose losses, monitored value or weights are not
    finite is never the best. `lr_find`, `validate` and `get_preds` keep nothing.

    Warns where the monitored value never moved, or was never a number. Raises `TrainingError`
    before the first batch where nothing of the name `monitor` is recorded.
    """

    remembered = ("best_epoch", "scores", "_seen")

    def __init__(
        self,
        monitor: str = "dice",  # the name of a metric, "valid_loss" or "train_loss"
        comp=None,  # np.greater or np.less; None: as the metric says, or its name suggests
        min_delta: float = 0.0,  # by how much a score must be better
        fname: str = "best",
        with_opt: bool = False,  # keep the optimizer's state with it
    ):
        super().__init__(monitor, comp, 0.0, fname, with_opt=with_opt)
        self._comp, self._min_delta = comp, abs(min_delta)
        self.best_epoch: int | None = None
        self.scores: dict[str, float] = {}
        self._name = monitor  # as it is recorded
        self._seen: list[float] | None = None  # monitored values of this fit; None: not a fit

    def before_fit(self):  # of `validate` and `get_preds`, too
        self._seen = None

    def before_train(self):
        begins = self._seen is None
        if begins:
            self.last_saved_path = None  # that of an earlier fit
        if not self._decides():
            return
        names, self._name = self._names(), self._wanted()
        if self._name not in names and f"valid_{self._name}" in names:
            self._name = f"valid_{self._name}"  # the recorder shows it for both parts
        if self._name not in names:
            raise TrainingError(
                f"monitor={self._name!r} is not among the recorded values: {', '.join(names)}."
            )
        self.comp = self._comp or (np.less if self._lower_is_better() else np.greater)
        self.min_delta = -self._min_delta if self.comp is np.less else self._min_delta
        if begins:
            self.best = math.inf if self.comp is np.less else -math.inf
            self.best_epoch, self.scores, self._seen, self.new_best = None, {}, [], False

    def after_epoch(self):
        self.new_best = False
        if self._seen is None:
            return
        values, names = [_number(value) for value in self.recorder.values[-1]], self._names()
        if len(values) < len(names):  # a skipped epoch records nothing
            return
        scores = dict(zip(names, values, strict=True))
        value = scores[self._name]
        self._seen.append(value)
        losses = [scores[name] for name in ("train_loss", "valid_loss") if name in scores]
        if not all(map(math.isfinite, [value, *losses])):
            return
        better = self.comp(value - self.min_delta, self.best)
        if better and not first_nonfinite(self.model.state_dict()):
            self.best, self.best_epoch, self.scores = value, self.epoch, scores
            self.new_best = True
            self._save(self.fname)

    def after_fit(self):
        seen, self._seen = self._seen or [], None
        self._warn(seen)
        if seen and self.best_epoch is not None:
            self._load_best()

    def _decides(self) -> bool:
        """Whether this callback keeps the best epoch of the fit that begins."""
        return find_callback(self.learn, LRFinder) is None

    def _wanted(self) -> str:
        """The name of the value to monitor."""
        return self.monitor

    def _save(self, name: str) -> None:
        self.last_saved_path = self.learn.save(name, with_opt=self.with_opt)

    def _load_best(self) -> None:
        self.learn.load(self.fname, with_opt=self.with_opt, weights_only=True)

    @property
    def keeps(self) -> bool:
        """Whether it keeps the best epoch of the fit that goes on."""
        return self._seen is not None

    @property
    def best_score(self) -> float:
        """The best value of `monitor`; nan where no epoch had one."""
        return float(self.best) if self.best_epoch is not None else math.nan

    def _names(self) -> list[str]:
        """The losses and metrics that the recorder notes for each epoch, without epoch and time."""
        names = list(self.recorder.metric_names[1:])
        return names[:-1] if self.recorder.add_time else names

    def _lower_is_better(self) -> bool:
        name = self._name.removeprefix("valid_").removeprefix("train_")
        for metric in self.learn.metrics:
            higher = getattr(metric, "higher_is_better", None)
            if metric.name in (self._name, name) and higher is not None:
                return not higher
        return any(word in name.lower() for word in _LOWER_IS_BETTER)

    def _warn(self, seen: list[float]) -> None:
        if not seen:
            return
        name, count = self._name, len(seen)
        if not any(map(math.isfinite, seen)):
            warn(
                f"{name} was no number ({seen[-1]}) in all {count} epochs, so none is the best: "
                "the weights of the last epoch stay. Monitor another value, such as valid_loss."
            )
        elif count > 1 and min(seen) == max(seen):
            warn(
                f"{name} was {seen[0]:.4g} in all {count} epochs: it cannot tell which is the "
                "best. Either the network predicts the same each time (one class everywhere?), or "
                f"{name} does not fit the task. Monitor another value, such as valid_loss."
            )


class KeepBest(SaveBestModel):
    """The `SaveBestModel` that every `SegmentationLearner` has.

    It follows the learner's `save_best` and `monitor`, as they are when a fit begins. Where the
    learner or the fit has another `SaveModelCallback`, of fastai or of ours, that one decides.
    """

    def _decides(self) -> bool:
        savers = [cb for cb in self.learn.cbs if isinstance(cb, SaveModelCallback)]
        return self.learn.save_best and savers == [self] and super()._decides()

    def _wanted(self) -> str:
        return self.learn.monitored


def _number(value: Any) -> float:
    """A recorded value; nan where a metric gave none, or several."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
