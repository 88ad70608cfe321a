"""Mixed precision and channels_last on every device."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from fastai.callback.core import Callback, CancelStepException

from fastunet.precision import Precision, autocast, training_dtype


class AutoPrecision(Callback):
    """Train in the number format that is fast on the device, with weights in float32.

    bfloat16 where the device computes in it, float16 with a gradient scaler on older CUDA, float32
    otherwise; see `fastunet.precision.training_dtype`. Unlike fastai's `MixedPrecision` it works on
    CPUs too. `learn.auto_precision.dtype` is what the last fit trained in, `skipped` how many steps
    in a row were left out because float16 gradients overflowed.
    """

    remembered = ("scaler", "skipped")
    order = 10  # as fastai's MixedPrecision: after device placement, before the recorder

    def __init__(
        self,
        precision: Precision = "auto",
        channels_last: bool = True,  # memory format of model and batches; faster for convolutions
        scaling: Mapping | None = None,  # options of the `torch.amp.GradScaler` of float16
    ):
        super().__init__()
        self.precision, self.channels_last = precision, channels_last
        self.scaling = dict(scaling or {})
        self.dtype = torch.float32
        self.scaler: torch.amp.GradScaler | None = None
        self.skipped = 0
        self._context: AbstractContextManager | None = None

    def before_fit(self):
        device = next(self.model.parameters()).device
        self.dtype = training_dtype(self.model, device, self.precision)
        if self.channels_last:
            self.model.to(memory_format=torch.channels_last)
        needs_scaling = self.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(device.type, **self.scaling) if needs_scaling else None
        self.skipped = 0

    def before_batch(self):
        self._leave()  # where the last batch ended in an error
        if self.channels_last:
            self.learn.xb = tuple(
                x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
                for x in self.xb
            )
        self._context = autocast(self.xb[0].device, self.dtype)
        self._context.__enter__()

    def after_pred(self):
        self._leave()
        deep = isinstance(self.pred, list | tuple)  # supervision: logits of several depths
        self.learn.pred = [p.float() for p in self.pred] if deep else self.pred.float()

    def after_cancel_batch(self):
        self._leave()

    def _leave(self) -> None:
        if self._context is not None:
            context, self._context = self._context, None
            context.__exit__(None, None, None)

    def before_backward(self):
        if self.scaler:
            self.learn.loss_grad = self.scaler.scale(self.loss_grad)

    def before_step(self):
        """With a scaler, step through it: a step whose gradients overflow is skipped."""
        if not self.scaler:
            return
        self._stepped = False
        self.scaler.step(self)
        self.scaler.update()
        self.skipped = 0 if self._stepped else self.skipped + 1
        if not self._stepped:
            raise CancelStepException

    # `GradScaler.step` takes this callback for the optimizer: it divides the gradients by the scale
    # and calls `step` only if they are finite. fastai then steps its own optimizer.

    @property
    def param_groups(self) -> list[dict]:
        """Those of the optimizer."""
        return self.opt.param_groups

    def step(self) -> None:
        """Note that the gradients are finite."""
        self._stepped = True
