"""Weights that are not finite are found by name."""

import pytest
import torch

from fastunet.models.finite import first_nonfinite
from fastunet.models.unet import UNet


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_first_that_is_not_finite_is_named(value, dtype):
    state = UNet(3, 1, depth=1, width=2).to(dtype).state_dict()
    assert first_nonfinite(state) is None
    for name in ("enc.0.1.running_var", "head.bias"):
        state[name].view(-1)[0] = value
    assert first_nonfinite(state) == "enc.0.1.running_var"


def test_what_has_no_fractions_or_no_numbers_is_passed_over():
    assert first_nonfinite({}) is None
    tensors = {"count": torch.tensor(3), "outline": torch.full((2,), torch.nan, device="meta")}
    assert first_nonfinite(tensors) is None
