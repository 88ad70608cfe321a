"""A fit that ends where the best epoch lies far behind."""

from fastai.callback.core import Callback, CancelFitException

from fastunet._util.terminal import say
from fastunet._util.text import plural
from fastunet.callback.best_model import SaveBestModel


class StopEarly(Callback):
    """End the fit when no epoch was the best for `patience` epochs.

    Which epoch is the best is said by the callback that keeps the best model: of this fit, or of
    the learner. In a one-cycle the rate falls to the end; a fit that ends early ends at a high one.
    """

    order = 1000  # when the best epoch is known

    def __init__(self, patience: int):
        super().__init__()
        self.patience = patience

    def before_epoch(self):
        keepers = [cb for cb in self.learn.cbs if isinstance(cb, SaveBestModel) and cb.keeps]
        best = [cb.best_epoch for cb in keepers if cb.best_epoch is not None]
        if best and self.epoch - 1 - max(best) >= self.patience:
            say(f"Stopped early: {plural(self.patience, 'epoch')} without a better one.")
            raise CancelFitException
