"""The scratch U-Net."""

import copy

import pytest
import torch

from fastunet.errors import ArchitectureError
from fastunet.models.unet import UNet, trace_shapes


def test_the_classic_network_has_the_classic_number_of_parameters():
    assert sum(p.numel() for p in UNet(3, 1, norm="none").parameters()) == 31_031_745


def test_its_shapes_go_down_and_up_again(capsys):
    trace_shapes(UNet(3, 1, norm="none"), 128)
    assert capsys.readouterr().out.splitlines() == [
        "Input: (1, 3, 128, 128)",
        "After enc1: (1, 64, 128, 128)",
        "After enc2: (1, 128, 64, 64)",
        "After enc3: (1, 256, 32, 32)",
        "After enc4: (1, 512, 16, 16)",
        "After bottleneck: (1, 1024, 8, 8)",
        "After up4: (1, 512, 16, 16)",
        "After dec4: (1, 512, 16, 16)",
        "After up3: (1, 256, 32, 32)",
        "After dec3: (1, 256, 32, 32)",
        "After up2: (1, 128, 64, 64)",
        "After dec2: (1, 128, 64, 64)",
        "After up1: (1, 64, 128, 128)",
        "After dec1: (1, 64, 128, 128)",
        "After head: (1, 1, 128, 128)",
        "Output: (1, 1, 128, 128)",
    ]


def test_tracing_leaves_the_model_as_it_was(capsys):
    model = UNet(4, 2, depth=1, width=2).train()
    before = copy.deepcopy(model.state_dict())
    trace_shapes(model, (5, 7))
    assert "Input: (1, 4, 5, 7)" in capsys.readouterr().out
    assert model.training
    assert not any(m._forward_hooks for m in model.modules())
    torch.testing.assert_close(dict(model.state_dict()), dict(before))


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (33, 47), (97, 131)])
def test_logits_have_the_size_of_any_input(size, norm):
    model = UNet(2, 5, depth=3, width=2, norm=norm).eval()
    assert model(torch.randn(2, 2, *size)).shape == (2, 5, *size)


def test_padding_does_not_change_a_size_that_fits():
    model = UNet(1, 1, depth=2, width=4).eval()
    x = torch.randn(1, 1, 16, 24)
    torch.testing.assert_close(model(x), model(x.contiguous(memory_format=torch.channels_last)))


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_every_parameter_gets_a_gradient(norm):
    model = UNet(3, 2, depth=2, width=4, norm=norm)
    model(torch.randn(2, 3, 21, 30)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.parameters() if p.ndim > 1)


def test_activations_keep_their_scale_through_the_depth_without_a_norm():
    torch.manual_seed(0)
    out = UNet(3, 1, width=8, norm="none")(torch.randn(2, 3, 64, 64))
    assert 0.01 < out.std() < 10


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"width": 0}, {"n_classes": 0}, {"norm": "x"}])
def test_an_option_that_is_none_is_refused(wrong):
    name = next(iter(wrong))
    with pytest.raises(ArchitectureError, match=f"UNet's {name}"):
        UNet(**{"in_channels": 3, "n_classes": 1, **wrong})
