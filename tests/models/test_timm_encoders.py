"""The table of timm's encoders, and what a U-Net is told of one."""

import pytest
import timm
import torch

from fastunet.errors import ArchitectureError
from fastunet.models.timm_encoders import available_encoders, plan_encoder


def test_the_table_says_what_timm_builds():
    table = available_encoders("test_*").set_index("name")
    assert list(table.index) == timm.list_models("test_*")
    for name in ("test_resnet", "test_vit", "test_mambaout"):
        encoder = timm.create_model(name, features_only=True)
        assert table.parameters[name] == sum(p.numel() for p in encoder.parameters())
    assert table.strides["test_resnet"] == "2 4 8 16 32"
    assert table.strides["test_convnext"] == "4 8 16 32"
    assert table.strides["test_vit"] == "16"


def test_a_pattern_with_a_dot_lists_the_weights_of_each_encoder():
    names = list(available_encoders("resnet18.*").name)
    assert "resnet18.a1_in1k" in names
    assert all(name.startswith("resnet18.") for name in names)


def test_a_pattern_that_matches_nothing_suggests_names():
    with pytest.raises(ArchitectureError, match=r"'efficientnet_light\*'.*efficientnet_lite0"):
        available_encoders("efficientnet_light*")


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "deit_tiny_patch16_224"])
def test_an_encoder_that_can_take_any_size_is_told_to(name):
    plan = plan_encoder(name)
    assert plan.size is None
    encoder = timm.create_model(name, features_only=True, **plan.options).eval()
    with torch.inference_mode():
        assert len(encoder(torch.randn(1, 3, 2 * plan.step, 3 * plan.step))) == len(plan.strides)


def test_an_encoder_that_fails_on_small_images_gets_a_larger_step():
    assert plan_encoder("test_resnet").step == 32
    assert plan_encoder("inception_v3").step == 64


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_parameters_that_features_do_not_depend_on_are_found(mode):
    with mode():
        assert plan_encoder("efficientvim_m1").unused == ["model.weights"]  # weighs the classifiers


def test_a_plan_neither_fills_memory_nor_moves_the_random_numbers():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    plan = plan_encoder("vit_giant_patch14_dinov2")  # 4.5 GB, were it built
    assert plan.channels == [1536, 1536, 1536]
    assert torch.equal(torch.get_rng_state(), before)
