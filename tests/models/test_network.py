"""What a network can say of itself."""

import pytest
import torch
from torch import nn

from fastunet.models.network import HasNormalisation, HasParts, HasPrior, unwrap
from fastunet.models.parameter_groups import split_parameters
from fastunet.models.unet import UNet


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: torch.compile(model, backend="eager"),
        nn.DataParallel,
        lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
    ],
    ids=["compiled", "parallel", "both"],
)
def test_a_wrapped_network_has_the_same_parts(wrap):
    model = UNet(3, 1, width=4, depth=2)
    wrapped = wrap(model)
    assert unwrap(wrapped) is model
    for ours, inner in zip(split_parameters(wrapped), split_parameters(model), strict=True):
        assert list(map(id, ours)) == list(map(id, inner))


def test_a_network_of_ones_own_need_not_say_anything():
    assert isinstance(UNet(3, 1, width=4, depth=2), HasParts)
    assert isinstance(UNet(3, 1, width=4, depth=2), HasPrior)
    plain = nn.Conv2d(3, 1, 1)
    assert not isinstance(plain, HasParts | HasPrior | HasNormalisation)
    plain.normalisation = None
    assert isinstance(plain, HasNormalisation)
