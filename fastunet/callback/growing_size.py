"""Progressive resizing: a training begins with small views, and ends with those of full size.

Small views cost a fraction, so more steps are made in the same time; the last part of the training
gets used to the detail. Source: Howard and others at DAWNBench, 2018,
https://www.fast.ai/posts/2018-04-30-dawnbench-fastai.html.
"""

from fastai.callback.schedule import LRFinder

from fastunet.callback.lookup import find_callback
from fastunet.callback.plain import PlainCallback
from fastunet.data.transforms import RandomView

_FULL = 0.7  # of the training, from where on views have their full size
_STEP, _LEAST = 32, 64  # pixels: sides are multiples, and no smaller


class GrowingSize(PlainCallback):
    """Training views begin at a share of the network's input and grow to all of it, epoch by epoch.

    For whole images, resized; patches show less of a picture when they are smaller, and stay as
    they are. Validation sees the full size, and so does the last epoch.
    """

    remembered = ("place",)
    order = 61  # when the place in the schedule of a batch is known

    def __init__(
        self,
        start: float = 0.4,  # share of the sides at which it begins
    ):
        super().__init__()
        self.start = start

    def before_fit(self):
        self.place = self._last = 0.0  # in the schedule: of the epoch before, of the last batch

    def before_train(self):
        self._resize(self._size())

    def before_batch(self):
        if self.training:
            self._last = self.pct_train

    def after_train(self):
        self.place = max(self.place, self._last)

    def after_fit(self):
        self._resize(None)

    def _size(self) -> tuple[int, int] | None:
        """Of the views of the epoch that begins; None: the full one."""
        preprocess = self.dls.preprocess
        grown = self.start + (1 - self.start) * self.place / _FULL
        last = self.epoch + 1 >= self.n_epoch
        looks = find_callback(self.learn, LRFinder) is not None
        if grown >= 1 or last or looks or not preprocess.sees_whole:
            return None
        height, width = (
            min(side, max(_LEAST, _STEP * round(side * grown / _STEP))) for side in preprocess.size
        )
        return height, width

    def _resize(self, size: tuple[int, int] | None) -> None:
        for transform in self.dls.train.after_item:
            if isinstance(transform, RandomView):
                transform.size = size
