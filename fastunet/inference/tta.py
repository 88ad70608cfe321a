"""Test-time augmentation: predictions of flipped and turned views, turned back and averaged."""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from fastunet.logits import activate


@dataclass(frozen=True)
class Turn:
    """A symmetry of the square: quarter turns first, then a mirror image."""

    quarters: int = 0  # turns by 90 degrees, counter-clockwise
    mirror: bool = False  # left and right change places

    def apply(self, x: Tensor) -> Tensor:
        """(..., H, W) turned; height and width change places for odd quarters."""
        x = torch.rot90(x, self.quarters, dims=(-2, -1))
        return x.flip(-1) if self.mirror else x

    def undo(self, x: Tensor) -> Tensor:
        """The inverse of `apply`."""
        x = x.flip(-1) if self.mirror else x
        return torch.rot90(x, -self.quarters, dims=(-2, -1))


TURNS = (
    *(Turn(), Turn(mirror=True)),  # the first two suit pictures with an up and a down
    *(Turn(2, mirror=True), Turn(2)),  # the first four turn nothing by 90 degrees
    *(Turn(1), Turn(3), Turn(1, mirror=True), Turn(3, mirror=True)),
)


class AveragedViews(nn.Module):
    """A network whose probabilities are the mean over turned views of its input.

    It returns logits of that mean, so whatever takes the logits of `model` takes these.
    """

    def __init__(
        self,
        model: nn.Module,  # (B, C, H, W) to logits (B, C', H, W), for any height and width
        turns: tuple[Turn, ...] = TURNS,
    ):
        super().__init__()
        self.model, self.turns = model, turns

    def forward(
        self,
        x: Tensor,  # (B, C, H, W)
    ) -> Tensor:  # (B, C', H, W)
        """Logits of the mean probability over the views."""
        views = (turn.undo(activate(self.model(turn.apply(x)).float())) for turn in self.turns)
        mean = reduce(torch.add, views) / len(self.turns)
        tiny = torch.finfo(mean.dtype).tiny
        if mean.shape[1] == 1:
            return mean.clamp(min=tiny).log() - (1 - mean).clamp(min=tiny).log()
        return mean.clamp(min=tiny).log()
