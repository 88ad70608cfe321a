"""Several processes train one network, each on its part of every batch, as one process would."""

import warnings
from collections.abc import Callable

from fastai.callback.mixup import MixHandler
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fastunet._util import processes
from fastunet.callback.auto_precision import AutoPrecision
from fastunet.callback.plain import PlainCallback
from fastunet.callback.random_numbers import random_states, set_random_states
from fastunet.data.loader import PairDL
from fastunet.errors import TrainingError
from fastunet.models.shared_batch_norm import share_batch_norm


class DataParallel(PlainCallback):
    """Train with all processes of a launcher; the weights are those of one process, but rounding.

    A batch is divided: each process reads, augments and passes through the network its own images.
    Then the logits and the truth of the whole batch are gathered, so that every loss, a Dice over
    the batch too, every metric and every callback sees what one process would see. Gradients are
    added up by PyTorch's `DistributedDataParallel`. Batch norm takes the statistics of the whole
    batch.

    The learner's `model` stays the plain network: it is wrapped for the forward pass only.

    Raises `TrainingError` where a batch holds fewer images than there are processes, where the
    loaders are not of `ImageMaskDataLoaders`, and where images are mixed.
    """

    order = AutoPrecision.order + 2  # when number format and memory layout are chosen

    def __init__(self):
        super().__init__()
        self._wrapped: nn.Module | None = None  # within a fit
        self._plain: nn.Module | None = None  # while its wrapped form stands in its place
        self._restore_norms: Callable[[], None] | None = None

    def before_train(self):
        if self._wrapped is not None:
            return
        self._check()
        states = processes.from_first(lambda: random_states(self.dls))
        set_random_states(self.dls, states)
        self._share(processes.rank(), processes.count())
        self._restore_norms = share_batch_norm(self.model)
        device = next(self.model.parameters()).device
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # a name that newer versions change
            self._wrapped = DistributedDataParallel(
                self.model,
                device_ids=[device] if device.type == "cuda" else None,
                broadcast_buffers=False,  # they are the same
            )

    def before_batch(self):
        if self._wrapped is not None and self.training:
            self._plain, self.learn.model = self.learn.model, self._wrapped

    def after_pred(self):
        self._unwrap()
        if self._wrapped is None:
            return
        size = self._batch_size()
        own = processes.part_of(size, processes.rank(), processes.count())
        count = own.stop - own.start  # 0: a stand-in was predicted

        def whole(part: Tensor) -> Tensor:
            return processes.gathered(part[:count], size)

        deep = isinstance(self.pred, list | tuple)  # supervision: logits of several depths
        self.learn.pred = [whole(one) for one in self.pred] if deep else whole(self.pred)
        self.learn.yb = tuple(whole(one.byte()).to(one.dtype) for one in self.yb)  # 0 to 255
        self.learn.own_part = own

    def after_loss(self):
        if self._wrapped is not None and self.training:
            # each process has the gradient of its own images, and their mean will be taken
            self.learn.loss_grad = self.loss_grad * processes.count()

    def after_cancel_batch(self):
        self._unwrap()

    def after_fit(self):
        if self._wrapped is None:
            return
        self._wrapped = None
        self._share(0, 1)
        if self._restore_norms is not None:
            self._restore_norms()
        self.learn.own_part = None

    def _unwrap(self) -> None:
        if self._plain is not None:
            self.learn.model, self._plain = self._plain, None

    def _batch_size(self) -> int:
        """Of the whole batch: the last one of a validation may be smaller."""
        loader = self.learn.dl
        if loader.drop_last:
            return loader.bs
        return min(loader.bs, loader.n - self.iter * loader.bs)

    def _share(self, number: int, of: int) -> None:
        for loader in self.dls.loaders:
            loader.share = number, of

    def _check(self) -> None:
        count = processes.count()
        if not all(isinstance(one, PairDL) and one.indexed and one.bs for one in self.dls.loaders):
            raise TrainingError(
                "Several processes divide the batches of ImageMaskDataLoaders, or of a DataBlock "
                "of PairImageBlock and PairMaskBlock; these loaders are others."
            )
        if self.dls.train.bs < count:
            raise TrainingError(
                f"bs={self.dls.train.bs} is the whole batch, and {count} processes share it: each "
                f"needs an image of it. Pass bs={count} or more, or start fewer processes."
            )
        if mixing := [cb for cb in self.learn.cbs if isinstance(cb, MixHandler)]:
            raise TrainingError(
                f"{type(mixing[0]).__name__} mixes the images of a batch, which several processes "
                "share. Leave it out, or train with one process."
            )
