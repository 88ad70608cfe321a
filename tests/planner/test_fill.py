"""Any network that a plan may name is measured; what is said already is not looked for."""

import pytest
import torch

from fastunet import from_plan
from fastunet.plan import Plan
from fastunet.planner.fill import fill, is_open
from fastunet.planner.speed import pixels_a_second

CPU = torch.device("cpu")


@pytest.mark.parametrize("arch", ["unet", "test_resnet", "fastai:resnet18"])
def test_a_plan_with_any_network_is_filled_in(write_pairs, arch):
    plan = Plan.of(data=write_pairs(8), arch=arch, pretrained=False)
    filled, reasons = fill(plan, from_plan.look_at(plan), CPU, 60.0)
    assert filled.model.arch == arch
    assert not is_open(filled.but(epochs=1))
    assert {"bs", "augment"} <= {one.field for one in reasons}


def test_a_plan_in_which_nothing_is_open_stays_and_no_file_is_read():
    plan = Plan.of(data="nowhere", arch="unet", size=32, bs=2, augment="none", epochs=1)
    assert fill(plan, None, CPU, None) == (plan, [])


def test_measuring_the_speed_leaves_random_numbers_as_they_were():
    before = torch.random.get_rng_state()
    assert pixels_a_second("unet", 3, 1, CPU, options={"width": 2}) > 0
    assert torch.equal(torch.random.get_rng_state(), before)
