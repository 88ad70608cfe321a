"""Networks of segmentation_models_pytorch: their statistics, and their way through a bundle."""

import json
import sys

import pytest
import torch
from torch import nn

from fastunet.errors import ArchitectureError
from fastunet.models.normalisation import normalisation_of
from fastunet.models.smp import describe_smp, rebuild_smp

smp = pytest.importorskip("segmentation_models_pytorch")


def unet(name: str = "resnet18", **options) -> nn.Module:
    return smp.Unet(name, encoder_weights=None, **options)


@pytest.mark.parametrize("cls", [smp.UnetPlusPlus, smp.FPN, smp.DeepLabV3Plus])
def test_a_network_is_built_again_from_json(cls):
    model = cls("resnet18", encoder_weights=None, in_channels=4, classes=2).eval()
    state = torch.get_rng_state()
    described = json.loads(json.dumps(describe_smp(model)))
    assert torch.equal(torch.get_rng_state(), state)
    assert (described.pop("kind"), described["network"]) == ("smp", cls.__name__)
    again = rebuild_smp(**described).eval()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 4, 64, 64)
    logits = again(x)
    assert type(logits) is torch.Tensor
    assert logits.shape == (1, 2, 64, 64)
    assert torch.equal(logits, model(x))


def test_building_again_downloads_nothing(monkeypatch):
    model = unet()
    model.config["encoder_weights"] = "imagenet"  # as if it had been built with them
    described = describe_smp(model)
    monkeypatch.setattr(smp.encoders, "hf_hub_download", lambda *_a, **_k: pytest.fail("download"))
    assert described["options"]["encoder_weights"] is None
    rebuild_smp(described["network"], {**described["options"], "encoder_weights": "imagenet"})


def test_what_its_configuration_does_not_hold_is_not_described():
    assert describe_smp(nn.Conv2d(3, 1, 1)) is None
    assert describe_smp(unet(activation=nn.Sigmoid)) is None  # smp writes no functions down
    assert describe_smp(unet("tu-test_resnet", drop_rate=0.1)) is None
    changed = unet()
    changed.segmentation_head[0] = nn.Conv2d(16, 7, 1)
    assert describe_smp(changed) is None

    class Mine(smp.Unet):
        pass

    assert describe_smp(Mine("resnet18", encoder_weights=None)) is None


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ("Segnet", {}, "'Segnet' is not a network of segmentation_models_pytorch"),
        ("create_model", {}, "'create_model' is not a network"),
        ("Unet", {"checkpoint_path": "evil.pth"}, "Unet of .* has no option checkpoint_path"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(network, options, message):
    with pytest.raises(ArchitectureError, match=message):
        rebuild_smp(network, options)


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ArchitectureError, match=r'pip install "fastunet\[smp\]"'):
        rebuild_smp("Unet", {})


def test_a_random_start_expects_no_statistics():
    assert normalisation_of(unet()) is None


@pytest.mark.parametrize(("channels", "mean"), [(3, (0.485, 0.456, 0.406)), (1, (0.449,))])
def test_a_timm_encoder_expects_the_statistics_of_its_weights(channels, mean):
    model = unet("tu-resnet18", in_channels=channels)
    model.config["encoder_weights"] = "imagenet"
    found, _std = normalisation_of(model)
    assert found == pytest.approx(mean)


@pytest.mark.parametrize("scale", [1, 255])
def test_other_encoders_expect_what_the_hub_says(scale, tmp_path, monkeypatch):
    model = unet()
    model.config["encoder_weights"] = "imagenet"
    settings = {"mean": [0.25 * scale] * 3, "std": [0.5 * scale] * 3, "input_range": [0, scale]}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    monkeypatch.setattr(
        smp.encoders, "hf_hub_download", lambda _repo, filename, **_: tmp_path / filename
    )
    assert normalisation_of(model) == ((0.25,) * 3, (0.5,) * 3)


def test_statistics_that_cannot_be_had_name_the_way_out(monkeypatch):
    def offline(*_args, **_options):
        raise FileNotFoundError("no network")  # of this kind is the hub's own error

    model = unet()
    model.config["encoder_weights"] = "imagenet"
    monkeypatch.setattr(smp.encoders, "hf_hub_download", offline)
    with pytest.raises(ArchitectureError, match=r"resnet18.*no network.*model\.normalisation ="):
        normalisation_of(model)
    model.normalisation = None
    assert normalisation_of(model) is None


def test_sizes_that_smp_does_not_take_are_its_own_error():
    x = torch.randn(1, 3, 33, 64)
    assert unet()(x).shape == (1, 1, 33, 64)  # the one network of smp's that takes them
    with pytest.raises(RuntimeError, match=r"divisible by 32.*\(64, 64\)"):
        smp.UnetPlusPlus("resnet18", encoder_weights=None)(x)
