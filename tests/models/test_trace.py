"""The shapes inside a network."""

import copy

import pytest
import torch
from torch import nn

from fastunet.errors import ArchitectureError
from fastunet.models.trace import trace_shapes
from fastunet.models.unet import UNet


def test_the_shapes_of_a_unet_go_down_and_up_again(capsys):
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


def test_a_gate_stands_between_enlargement_and_convolution(capsys):
    trace_shapes(UNet(1, 2, depth=1, width=2, attention=True, deep_supervision=True), (6, 8))
    names = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    stages = [name.removeprefix("After ") for name in names[1:-1]]
    assert stages == ["enc1", "bottleneck", "up1", "gate1", "dec1", "head"]


def test_a_stage_with_several_maps_shows_each(capsys):
    class Pyramid(nn.Module):
        def forward(self, x):
            return [x, x[..., ::2, ::2]]

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.encoder = nn.Conv2d(5, 2, 1).bfloat16(), Pyramid()

        def forward(self, x):
            return self.encoder(self.stem(x))[0]

    trace_shapes(Network(), (4, 6))
    assert "After encoder: (1, 2, 4, 6), (1, 2, 2, 3)" in capsys.readouterr().out


def test_tracing_leaves_the_model_as_it_was(capsys):
    model = UNet(4, 2, depth=1, width=2).train()
    model.enc.eval()  # as in a learner that is frozen
    before = copy.deepcopy(model.state_dict())
    trace_shapes(model, (5, 7))
    assert "Input: (1, 4, 5, 7)" in capsys.readouterr().out
    assert model.training
    assert model.dec.training
    assert not any(m.training for m in model.enc.modules())
    assert not any(m._forward_hooks for m in model.modules())
    torch.testing.assert_close(dict(model.state_dict()), dict(before))


def test_the_channels_of_a_network_without_convolution_are_asked_for(capsys):
    model = nn.Sequential(nn.Linear(8, 2))
    with pytest.raises(ArchitectureError, match=r"Sequential has no 2D conv.*pass in_channels"):
        trace_shapes(model, (4, 8))
    trace_shapes(model, (4, 8), in_channels=3)
    assert "Output: (1, 3, 4, 2)" in capsys.readouterr().out
