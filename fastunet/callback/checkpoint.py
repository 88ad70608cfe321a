"""Keep the best model of a training run."""

import math

import numpy as np
from fastai.callback.tracker import SaveModelCallback, TrackerCallback


class SaveBestModel(SaveModelCallback):
    """fastai's `SaveModelCallback` on the Dice score, safe against a crash and a hostile file.

    The best weights so far are in `learn.path/learn.model_dir/<fname>.pth`, written beside and
    then renamed, and loaded with `weights_only=True` when training ends. `best_epoch` says which
    they are. An epoch whose score is nan is never the best.
    """

    def __init__(
        self,
        monitor: str = "dice",  # a metric (higher is better) or "valid_loss"
        comp=None,  # np.greater or np.less; None: as the name of `monitor` suggests
        min_delta: float = 0.0,  # by how much a score must be better
        fname: str = "best",
        with_opt: bool = False,  # keep the optimizer's state with it
    ):
        super().__init__(monitor, comp, min_delta, fname, with_opt=with_opt)
        self.best_epoch: int | None = None

    def before_fit(self):
        self.best_epoch = None
        super().before_fit()

    def after_epoch(self):
        TrackerCallback.after_epoch(self)
        if self.new_best:
            self.best_epoch = self.epoch
            self._save(self.fname)

    def _save(self, name):
        written = self.learn.save(f"{name}-partial", with_opt=self.with_opt)
        self.last_saved_path = written.with_name(f"{name}.pth")
        written.replace(self.last_saved_path)

    def after_fit(self):
        if self.best_epoch is not None:
            self.learn.load(self.fname, with_opt=self.with_opt, weights_only=True)

    @property
    def best_score(self) -> float:
        """The best value of `monitor`; nan where no epoch had one."""
        return float(self.best) if self.best is not None and np.isfinite(self.best) else math.nan
