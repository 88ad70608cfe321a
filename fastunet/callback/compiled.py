"""The network compiled by PyTorch for the training, where that pays."""

import time
from collections.abc import Callable

import torch
from fastai.callback.core import Callback

from fastunet._util.terminal import say
from fastunet._util.warn import warn
from fastunet.callback.auto_precision import AutoPrecision
from fastunet.callback.lookup import find_callback
from fastunet.callback.trial import trial
from fastunet.precision import autocast

WORTH_IT = 300.0  # seconds of training, from which it earns the minute that it takes


class Compiled(Callback):
    """Train with `torch.compile`; validate, predict and save with the network as it is.

    Compiling takes about a minute on a CPU. Where it fails, for want of a C++ compiler or since
    the network does what cannot be compiled, a warning says why and training goes on without.
    `used` says whether the last fit was compiled. Weights differ from those of a fit that is not
    compiled by rounding; compiled again, they are the same.
    """

    order = AutoPrecision.order + 1  # when number format and memory layout are chosen

    def __init__(self, backend: str | Callable = "inductor"):  # as in `torch.compile`
        super().__init__()
        self.backend = backend
        self.used = False
        self._forward: Callable | None = None

    def before_fit(self):
        self.used, self._tried, self._forward = False, False, None

    def before_train(self):
        if not self._tried:
            self._tried = True
            self._compile()

    def before_batch(self):
        if self.training and self._forward is not None:
            self.model.forward = self._forward

    def after_pred(self):
        self.model.__dict__.pop("forward", None)

    after_cancel_batch = after_pred

    def _compile(self) -> None:
        """Compile by a trial step."""
        start = time.perf_counter()
        forward = torch.compile(self.model.forward, backend=self.backend, dynamic=False)
        try:
            with trial(self.learn):
                self._step(forward)
        except Exception as error:  # whatever it is: without the compiler it shows again, or not
            warn(f"torch.compile is not used, since it failed: {_in_short(error)}")
            return
        self.used, self._forward = True, forward
        say(f"Compiled the network in {time.perf_counter() - start:.0f} s")

    def _step(self, forward: Callable) -> None:
        images = self.dls.train.one_batch()[0]
        precision = find_callback(self.learn, AutoPrecision)
        if precision is not None and precision.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        self.model.train()
        with autocast(images.device, precision.dtype if precision else torch.float32):
            logits = forward(images.as_subclass(torch.Tensor))
        deep = logits if isinstance(logits, list | tuple) else [logits]
        sum(one.float().mean() for one in deep).backward()


def _in_short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
