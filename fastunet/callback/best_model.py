"""Keep the best model of a training run."""

import math
import warnings

import numpy as np
from fastai.callback.tracker import SaveModelCallback

from fastunet.callback.guard import nonfinite_weight
from fastunet.callback.plain import PlainCallback
from fastunet.errors import TrainingError

_LOWER_IS_BETTER = ("loss", "error", "hausdorff")  # in a name, where the metric does not say


class SaveBestModel(PlainCallback, SaveModelCallback):
    """fastai's `SaveModelCallback`, safe against values that are not finite, crashes and traps.

    The best weights so far are in `learn.path/learn.model_dir/<fname>.pth`, and loaded with
    `weights_only=True` when training ends. `best_epoch` says which
    they are, `scores` what was recorded for that epoch, by name. An epoch whose losses, monitored
    value or weights are not finite is never the best.

    Warns where the monitored value never moved, or was never a number. Raises `TrainingError`
    before the first batch where nothing of the name `monitor` is recorded.
    """

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
        self._seen: list[float] | None = None  # monitored values of this fit; None: none runs

    def before_fit(self):  # also of `validate`, during which nothing is kept
        self.run = not hasattr(self.learn, "lr_finder") and not hasattr(self.learn, "gather_preds")
        self._seen = None

    def before_train(self):
        if self._seen is not None:
            return
        names = self._names()
        if self.monitor not in names and f"valid_{self.monitor}" in names:
            self.monitor = f"valid_{self.monitor}"  # the recorder shows it for both parts
        if self.monitor not in names:
            raise TrainingError(
                f"monitor={self.monitor!r} is not among the recorded values: {', '.join(names)}."
            )
        self.comp = self._comp or (np.less if self._lower_is_better() else np.greater)
        self.min_delta = -self._min_delta if self.comp is np.less else self._min_delta
        self.best = math.inf if self.comp is np.less else -math.inf
        self.best_epoch, self.scores, self._seen, self.new_best = None, {}, [], False

    def after_epoch(self):
        self.new_best = False
        values = [_number(value) for value in self.recorder.values[-1]]
        names = self._names()
        if self._seen is None or len(values) < len(names):  # a skipped epoch records nothing
            return
        scores = dict(zip(names, values, strict=True))
        value = scores[self.monitor]
        self._seen.append(value)
        losses = [scores[name] for name in ("train_loss", "valid_loss") if name in scores]
        if not all(map(math.isfinite, [value, *losses])):
            return
        if self.comp(value - self.min_delta, self.best) and not nonfinite_weight(self.model):
            self.best, self.best_epoch, self.scores = value, self.epoch, scores
            self.new_best = True
            self._save(self.fname)

    def after_fit(self):
        seen, self._seen = self._seen or [], None
        self._warn(seen)
        if seen and self.best_epoch is not None:
            self._load_best()

    def _save(self, name):
        self.last_saved_path = self.learn.save(name, with_opt=self.with_opt)

    def _load_best(self):
        self.learn.load(self.fname, with_opt=self.with_opt, weights_only=True)

    @property
    def best_score(self) -> float:
        """The best value of `monitor`; nan where no epoch had one."""
        return float(self.best) if self.best_epoch is not None else math.nan

    def _names(self) -> list[str]:
        """Of what the recorder notes for each epoch: losses and metrics, without epoch and time."""
        names = list(self.recorder.metric_names[1:])
        return names[:-1] if self.recorder.add_time else names

    def _lower_is_better(self) -> bool:
        name = self.monitor.removeprefix("valid_").removeprefix("train_")
        for metric in self.learn.metrics:
            higher = getattr(metric, "higher_is_better", None)
            if metric.name in (self.monitor, name) and higher is not None:
                return not higher
        return any(word in self.monitor.lower() for word in _LOWER_IS_BETTER)

    def _warn(self, seen: list[float]):
        if not seen:
            return
        name, count = self.monitor, len(seen)
        if not any(map(math.isfinite, seen)):
            warnings.warn(
                f"{name} was no number ({seen[-1]}) in all {count} epochs, so none is the best: "
                "the weights of the last epoch stay. Monitor another value, such as valid_loss.",
                stacklevel=2,
            )
        elif count > 1 and min(seen) == max(seen):
            warnings.warn(
                f"{name} was {seen[0]:.4g} in all {count} epochs: it cannot tell which is the "
                "best. Either the network predicts the same each time (one class everywhere?), or "
                f"{name} does not fit the task. Monitor another value, such as valid_loss.",
                stacklevel=2,
            )


def _number(value: object) -> float:
    """A recorded value; nan where a metric gave none, or several."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
