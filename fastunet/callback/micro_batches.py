"""Batches that are too large for the memory go through the network in parts."""

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from fastai.torch_core import num_distrib
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fastunet._util.system_errors import is_lack_of_memory
from fastunet._util.warn import warn
from fastunet.callback.auto_precision import AutoPrecision
from fastunet.callback.lookup import find_callback
from fastunet.callback.plain import PlainCallback
from fastunet.errors import TrainingError


class MicroBatches(PlainCallback):
    """Let the network see a batch in parts, from when it has run out of memory on a whole one.

    The batch that failed is done again, and it and all others go through the network in parts of
    half as many images; that is a warning, and happens as often as it must. Where one image is too
    much there is a `TrainingError`.

    The batch itself stays: its loss is that of all its logits together, whatever the loss, and so
    are gradients (up to rounding), metrics, schedule and checkpoints. In training each part goes
    through the network twice, a third more work: once for its logits, and again for its gradients.
    What is not the same is batch normalisation: it normalises each part by itself, and its running
    statistics take in every part. A batch is done again after it failed in the network, the loss or
    the gradients; not once the weights may have changed.

    In a distributed run the other processes would wait for ever: there it is a `TrainingError`.
    CUDA and MPS were not tried.
    """

    remembered = ("size", "gradients_wait")
    order = -1000  # it knows first that the gradients are complete

    def __init__(
        self,
        size: int | None = None,  # images at once; None: all of a batch, until memory is short
    ):
        super().__init__()
        self.size = size
        self.may_shrink = True  # else a lack of memory is raised as it is
        self.gradients_wait = False  # those of earlier batches, for a step that is to come
        self._complete = False  # the gradients of this batch are
        self._waiting: list[tuple[nn.Parameter, Tensor | None]] = []  # put aside for it
        self._model: nn.Module | None = None  # the network, while another stands for it

    def after_pred(self):
        self._put_back()

    def after_backward(self):
        for parameter, gradient in self._waiting:
            if parameter.grad is None:
                parameter.grad = gradient
            elif gradient is not None:
                parameter.grad += gradient
        self._complete, self._waiting, self.gradients_wait = True, [], True

    def attempt(
        self,
        do_batch: Callable[[], None],  # forward, loss, backward and step of the learner's batch
    ) -> None:
        """Do the batch, again where it must be. Raises `TrainingError` as said above."""
        while True:
            self._begin()
            try:
                do_batch()
            except Exception as error:
                if self._complete:
                    raise
                self._put_back_gradients()
                if not is_lack_of_memory(error):
                    raise
                if not self.may_shrink:
                    self._forget()
                    raise
                reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
            else:
                if self.training:
                    self.gradients_wait = False
                return
            finally:
                self._put_back()
            self._forget()  # when the error is gone, and what it holds
            self._halve(reason)
            if precision := find_callback(self.learn, AutoPrecision):
                precision.before_batch()  # its context was left behind the network

    def _begin(self) -> None:
        self._complete = False
        model = self.learn.model
        self._waiting = [(p, p.grad) for p in model.parameters()] if self.gradients_wait else []
        for parameter, _ in self._waiting:
            parameter.grad = None
        count = len(self.xb[0])
        if self.size is not None and count > self.size:
            self._model = model
            self.learn.model = InParts(model, math.ceil(count / self.size))

    def _put_back(self) -> None:
        if self._model is not None:
            self.learn.model, self._model = self._model, None

    def _put_back_gradients(self) -> None:
        """Those of the batch that failed are not whole."""
        for parameter in self.learn.model.parameters():
            parameter.grad = None
        for parameter, gradient in self._waiting:
            parameter.grad = gradient

    def _forget(self) -> None:
        """Drop what the failed batch has made."""
        self.learn.pred = self.learn.loss = self.learn.loss_grad = None
        if precision := find_callback(self.learn, AutoPrecision):
            precision.after_cancel_batch()
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        elif torch.backends.mps.is_available():
            torch.mps.empty_cache()

    def _halve(self, reason: str) -> None:
        batch = len(self.xb[0])
        now = min(batch, self.size or batch)
        height, width = self.xb[0].shape[-2:]
        problem = f"Out of memory with {now} images of {height}x{width} at once ({reason})"
        advice = ""
        if now == 1:
            advice = "Take smaller images (size=), a smaller network (width=) or batch (bs=)."
        elif num_distrib() > 1:
            advice = "In a distributed run that cannot be mended: take smaller batches (bs=)."
        if advice:
            self.learn._end_cleanup()
            raise TrainingError(f"{problem}. {advice}")
        self.size = math.ceil(now / 2)
        warn(
            f"{problem}. From now on the network sees {self.size} at once. Each step is still that "
            f"of its whole batch of {batch}, with a third more work."
        )


class InParts(nn.Module):
    """A network whose batch goes through it in parts, the activations of one in memory at a time.

    In training those of each part are made again when its gradients are computed, with the same
    random numbers.
    """

    def __init__(self, model: nn.Module, parts: int):
        super().__init__()
        self.model, self.parts = model, parts

    def forward(self, *inputs: Tensor):
        """The logits of all parts, as the network gives them for a whole batch."""
        split = zip(*(one.tensor_split(self.parts) for one in inputs), strict=True)
        if not torch.is_grad_enabled():
            return _joined([self.model(*part) for part in split])
        return _joined(
            [
                checkpoint(
                    self.model,
                    *part,
                    use_reentrant=False,
                    context_fn=lambda: (nullcontext(), _statistics_kept(self.model)),
                )
                for part in split
            ]
        )


def _joined(outputs: list):
    """One batch of several; of deep supervision each level by itself."""
    if isinstance(outputs[0], Tensor):
        return torch.cat(outputs)
    return [torch.cat(level) for level in zip(*outputs, strict=True)]


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Within, normalisation in training leaves its running statistics as they are."""
    norms: list[Any] = [m for m in model.modules() if hasattr(m, "num_batches_tracked")]
    norms = [norm for norm in norms if norm.num_batches_tracked is not None]
    before = [(norm, norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
