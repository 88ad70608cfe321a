"""An average of the weights over the steps, which is validated and kept in their place."""

import torch
from fastai.callback.core import Callback
from fastai.callback.schedule import LRFinder
from torch import Tensor

from fastunet.callback.lookup import find_callback


class EMA(Callback):
    """Validate, keep and end with an exponential moving average of the weights.

    After each step the average goes a small part of the way to the weights: 1 - `decay`, and more
    in the first steps, `min(decay, (1 + n) / (10 + n))` (as in TensorFlow's
    ExponentialMovingAverage). Statistics of batch norm are averaged too. The best epoch is that of
    the average, and so is what is saved; training goes on with the weights themselves. It costs one
    more copy of the weights.
    """

    remembered = ("other", "steps", "swapped")
    order = 55  # before what keeps the best model looks at the weights

    def __init__(self, decay: float = 0.99):
        super().__init__()
        self.decay = decay
        self.steps = 0
        self.other: list[Tensor] | None = None  # the average; while it is validated, the weights
        self.swapped = False

    def before_fit(self):  # also of `validate`
        self.steps, self.other, self.swapped = 0, None, False

    def before_train(self):
        if self.other is None and find_callback(self.learn, LRFinder) is None:
            self.other = [weight.clone() for weight in self._weights()]
        if self.swapped:
            self._swap()

    def after_step(self):
        if self.other is None:
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.other, self._weights(), 1 - decay)

    def before_validate(self):
        if self.other is not None and not self.swapped:
            self._swap()

    def _swap(self) -> None:
        for weight, other in zip(self._weights(), self.other or (), strict=True):
            weight_before = weight.clone()
            weight.copy_(other)
            other.copy_(weight_before)
        self.swapped = not self.swapped

    def _weights(self) -> list[Tensor]:
        """Weights and statistics, as the network has them."""
        values = self.model.state_dict().values()
        return [value for value in values if value.is_floating_point()]
