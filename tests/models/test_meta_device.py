"""Networks that a bundle describes, looked at before anything is allocated."""

import socket
import threading
import time

import pytest
import torch
from torch import nn

from fastunet.errors import ArchitectureError, BundleError
from fastunet.models.build import describe, rebuild
from fastunet.models.fastai_unet import FastaiUNet
from fastunet.models.meta_device import (
    _on_meta,
    build_on_meta,
    check_output,
    check_weights,
    with_weights,
)
from fastunet.models.timm_unet import TimmUNet
from fastunet.models.unet import UNet

NETWORKS = {
    "unet": lambda: UNet(3, 1, 2, 4, norm="group", up="pixel_shuffle", attention=True),
    "timm": lambda: TimmUNet("test_resnet"),
    "timm with computed tables": lambda: TimmUNet("test_coatnet", in_channels=1),
    "fastai": lambda: FastaiUNet("resnet18", size=(32, 32), blur=True),
    "fastai with computed weights": lambda: FastaiUNet("resnet18", self_attention=True),
    "fastai whose widths are computed": lambda: FastaiUNet("regnet_x_400mf"),
}


def stored(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def smp_network(name="resnet18"):
    smp = pytest.importorskip("segmentation_models_pytorch")
    return smp.Unet(name, encoder_weights=None, encoder_depth=3, decoder_channels=(8, 8, 4))


@pytest.mark.parametrize("kind", [*NETWORKS, "smp", "smp that computes while it is built"])
def test_an_outline_has_no_numbers_and_is_filled_with_the_weights(kind):
    if kind in NETWORKS:
        network = NETWORKS[kind]()
    else:
        network = smp_network("mit_b0" if "computes" in kind else "resnet18")
    weights, architecture = stored(network), describe(network)
    empty = build_on_meta(architecture, len(weights))
    assert all(parameter.is_meta for parameter in empty.parameters())
    check_weights(empty, weights, "b")
    channels = architecture.get("in_channels", 3)
    check_output(empty, channels, 1, (64, 64), "b")
    again = with_weights(empty, architecture, weights)
    x = torch.randn(1, channels, 64, 64)
    with torch.no_grad():
        assert torch.equal(again.eval()(x), network.eval()(x))
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, p in again.named_parameters() if p.requires_grad}


def test_weights_of_another_precision_are_converted():
    network = UNet(3, 1, 1, 4)
    weights = stored(network.half())
    empty = build_on_meta(describe(network), len(weights))
    check_weights(empty, weights, "b")
    assert {p.dtype for p in with_weights(empty, describe(network), weights).parameters()} == {
        torch.float32
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("head.bias"), "they lack head.bias"),
        (lambda w: w.update(evil=torch.zeros(1)), "they also hold evil"),
        (
            lambda w: w.update({"head.bias": torch.zeros(2)}),
            "head.bias is 2 of float32, 1 of float",
        ),
        (lambda w: w.update({"head.bias": torch.zeros(1).int()}), "head.bias is 1 of int32"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(change, message):
    network = UNet(3, 1, 1, 4)
    weights = stored(network)
    change(weights)
    with pytest.raises(BundleError, match=rf"b: the weights do not fit the network: {message}"):
        check_weights(build_on_meta(describe(network), len(weights)), weights, "b")


@pytest.mark.parametrize(
    "architecture",
    [
        {"kind": "timm", "encoder": "test_vit", "depth": 60_000},
        {"kind": "timm", "encoder": "test_resnet", "layers": [60_000] * 4},
    ],
)
def test_a_network_of_far_more_layers_than_weights_is_not_built_to_its_end(architecture):
    start = time.perf_counter()
    with pytest.raises(BundleError, match="far more layers than its weights"):
        build_on_meta({**architecture, "in_channels": 3, "n_classes": 1}, 80)
    assert time.perf_counter() - start < 10


def test_a_network_of_terabytes_costs_no_memory():
    huge = build_on_meta(
        {"kind": "unet", "in_channels": 3, "n_classes": 1, "width": 8192, "depth": 9}, 80
    )
    assert sum(parameter.numel() for parameter in huge.parameters()) > 10**12


def test_a_network_that_takes_or_gives_something_else_is_refused():
    network = build_on_meta(describe(UNet(3, 2, 1, 4)), 20)
    check_output(network, 3, 2, (16, 16), "b")
    check_output(network, 3, 1, (16, 16), "b")  # fastai's networks have two for two classes
    with pytest.raises(BundleError, match=r"b: .* 3 channels and 16x16 .* \(1, 2, 16, 16\); .*5"):
        check_output(network, 3, 5, (16, 16), "b")
    with pytest.raises(BundleError, match=r"of 4 channels .* RuntimeError"):
        check_output(network, 4, 2, (16, 16), "b")


def test_networks_that_other_threads_build_have_their_numbers():
    begun, built, errors = threading.Event(), threading.Event(), []

    def build_another():
        begun.wait(20)
        try:
            if any(parameter.is_meta for parameter in UNet(3, 1, 1, 4).parameters()):
                errors.append("no numbers")
        finally:
            built.set()

    class Waits(nn.Linear):
        def __init__(self):
            begun.set()
            assert built.wait(20)
            super().__init__(2, 2)

    other = threading.Thread(target=build_another)
    other.start()
    with _on_meta(True, most=100):
        waits = Waits()
    other.join()
    assert errors == []
    assert waits.weight.is_meta


PLACES = [
    *("hf-hub:timm/resnet18.a1_in1k", "hf_hub:timm/resnet18", "local-dir:/tmp", "../resnet18"),
    *("resnet18.hf-hub:a/b", "nosuch", "", "resnet18\x1b[2J"),
]


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("kind", ["timm", "fastai", "tu-", "timm-", ""])
def test_only_names_that_are_listed_are_encoders(kind, name, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: pytest.fail("network"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_a, **_k: pytest.fail("network"))
    architecture = {"kind": kind, "encoder": name, "in_channels": 3, "n_classes": 1}
    if kind not in ("timm", "fastai"):
        pytest.importorskip("segmentation_models_pytorch")
        options = {"encoder_name": kind + name}
        architecture = {"kind": "smp", "network": "Unet", "options": options}
    with pytest.raises(
        ArchitectureError, match=r"has no (encoder|weights)|is not a network"
    ) as found:
        rebuild(architecture)
    assert "\x1b" not in str(found.value)


def test_whatever_a_library_raises_is_a_damaged_bundle():
    with pytest.raises(BundleError, match=r"cannot be built from .*Either the bundle is damaged"):
        rebuild({"kind": "smp", "network": "Unet", "options": {"decoder_channels": [1, 2]}})
