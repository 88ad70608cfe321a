"""Flipped and turned views: each is undone, and their probabilities are averaged."""

import numpy as np
import pytest
import torch
from torch import nn

from fastunet.inference.tta import TURNS, AveragedViews
from fastunet.logits import activate


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_a_turn_is_undone(turn):
    x = torch.arange(2 * 3 * 5).view(1, 2, 3, 5)
    torch.testing.assert_close(turn.undo(turn.apply(x)), x)


def test_the_eight_views_of_a_picture_all_differ():
    x = torch.arange(9).view(1, 1, 3, 3)
    views = {tuple(turn.apply(x).flatten().tolist()) for turn in TURNS}
    assert len(views) == len(TURNS) == 8


class Lean(nn.Module):
    """A network whose answer depends on which way round the picture is."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-3, 3, channels).view(1, -1, 1, 1))

    def forward(self, x):
        columns = torch.linspace(-1, 1, x.shape[-1])
        return x.mean(dim=1, keepdim=True) * columns * self.weight + self.weight


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("views", [1, 2, 4, 8])
def test_its_logits_are_those_of_the_mean_probability(channels, views):
    x = torch.randn(2, 3, 6, 9, generator=torch.Generator().manual_seed(0)) * 4
    model = Lean(channels)
    expected = np.mean(
        [turn.undo(activate(model(turn.apply(x)))).detach().numpy() for turn in TURNS[:views]],
        axis=0,
    )
    found = activate(AveragedViews(model, TURNS[:views])(x))
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-6)


def test_certain_predictions_stay_finite():
    class Certain(nn.Module):
        def forward(self, x):
            return torch.full_like(x, 1000.0)

    assert torch.isfinite(AveragedViews(Certain())(torch.zeros(1, 1, 4, 4))).all()
