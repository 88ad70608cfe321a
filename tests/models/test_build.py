"""A network as JSON, and back."""

import json

import pytest
import torch
from torch import nn

from fastunet.errors import ArchitectureError, BundleError
from fastunet.models.build import describe, rebuild
from fastunet.models.unet import UNet


def test_a_described_unet_is_built_again():
    model = UNet(4, 3, depth=2, width=6, norm="none").eval()
    again = rebuild(json.loads(json.dumps(describe(model)))).eval()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 4, 20, 20)
    torch.testing.assert_close(again(x), model(x))


def test_a_network_of_ones_own_is_named_and_asked_for():
    spec = describe(nn.Conv2d(3, 1, 1))
    assert spec == {"kind": "module", "class": "torch.nn.modules.conv.Conv2d"}
    with pytest.raises(ArchitectureError, match=r"Conv2d.*model="):
        rebuild(spec)


def test_a_kind_of_the_future_asks_for_an_upgrade():
    with pytest.raises(ArchitectureError, match=r"'mamba'.*upgrade"):
        rebuild({"kind": "mamba"})


def test_a_damaged_description_is_refused():
    with pytest.raises(BundleError, match="damaged"):
        rebuild({"kind": "unet", "in_channels": 3})


@pytest.mark.parametrize(
    "foreign",
    [
        {"kind": "timm", "encoder": "test_resnet", "weights": "evil.pth"},
        {"kind": "timm", "encoder": "test_resnet", "checkpoint_path": "evil.pth"},
        {"kind": "timm", "encoder": "test_resnet", "pretrained_cfg_overlay": {"file": "evil.pth"}},
        {"kind": "timm", "encoder": "local-dir:evil"},
        {"kind": "fastai", "encoder": "resnet18", "weights": True},
    ],
)
def test_a_foreign_description_opens_no_file_and_no_connection(foreign, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something was opened")

    monkeypatch.setattr("torch.load", refuse)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    with pytest.raises((ArchitectureError, BundleError)):
        rebuild(foreign)
