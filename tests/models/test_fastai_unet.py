"""`FastaiUNet`: fastai's network to the last bit, without its hooks."""

import copy
import json
from urllib.error import URLError

import numpy as np
import pytest
import torch
from fastai.vision.learner import create_unet_model
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from fastunet.errors import ArchitectureError
from fastunet.models.fastai_unet import FastaiUNet

SIZE = (64, 64)
PARTS = ("encoder", "decoder", "head")


def pair(**options) -> tuple[FastaiUNet, nn.Module]:
    """Our network and fastai's, from the same random numbers."""
    torch.manual_seed(0)
    theirs = create_unet_model(models.resnet18, 2, SIZE, pretrained=False, **options)
    torch.manual_seed(0)
    return FastaiUNet("resnet18", n_classes=2, size=SIZE, **options), theirs


@pytest.fixture(scope="module")
def both():
    """For tests that leave the weights alone."""
    return pair()


@pytest.fixture
def net(both) -> FastaiUNet:
    """For tests that train it."""
    return copy.deepcopy(both[0]).train()


@pytest.fixture(scope="module")
def torchvision_weights(tmp_path_factory):
    """A file as torchvision publishes them."""
    path = tmp_path_factory.mktemp("weights") / "resnet18-f37072fd.pth"
    torch.manual_seed(1)
    torch.save(models.resnet18(weights=None).state_dict(), path)
    return path


def test_layers_names_and_values_are_those_of_fastai(both):
    ours, theirs = (network.state_dict() for network in both)
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


@hypothesis_settings(max_examples=12)
@given(st.integers(1, 100), st.integers(1, 100), st.booleans())
def test_logits_are_those_of_fastai_at_every_size(both, height, width, training):
    x = torch.randn(2, 3, height, width)
    ours, theirs = (network.train(training)(x) for network in both)
    assert type(ours) is torch.Tensor
    assert ours.shape == (2, 2, height, width)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"blur": True, "blur_final": False},
        {"self_attention": True},
        {"last_cross": False},
        {"act_cls": nn.SiLU, "y_range": (0, 1)},
        {"n_in": 5},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_mean_what_they_mean_to_fastai(options):
    torch.manual_seed(0)
    theirs = create_unet_model(models.resnet18, 2, SIZE, pretrained=False, **options).eval()
    torch.manual_seed(0)
    options = {"in_channels" if name == "n_in" else name: v for name, v in options.items()}
    ours = FastaiUNet("resnet18", n_classes=2, size=SIZE, **options).eval()
    x = torch.randn(1, options.get("in_channels", 3), 50, 37)
    assert torch.equal(ours(x), theirs(x))


def test_no_hook_and_no_activation_stays_behind(net):
    net(torch.randn(2, 3, 40, 40)).sum().backward()
    for name, module in net.named_modules():
        assert not module._forward_hooks, name
        assert not module._forward_pre_hooks, name
        kept = [key for key, value in vars(module).items() if isinstance(value, torch.Tensor)]
        assert not kept, (name, kept)
        assert not hasattr(module, "hook"), name


@pytest.mark.parametrize("size", [(1, 1), (1, 32), (20, 7), (33, 1)])
def test_a_single_small_image_trains(net, size):
    logits = net(torch.randn(1, 3, *size))
    assert logits.shape == (1, 2, *size)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_an_encoder_that_needs_large_images_takes_small_ones():
    with pytest.warns(UserWarning, match=r"too few skips in torchvision's squeezenet1_1 \(0\)"):
        network = FastaiUNet("squeezenet1_1", size=SIZE)
    for x in (torch.randn(1, 3, 1, 1), torch.randn(1, 3, 5, 40)):
        assert network.train()(x).shape == (1, 1, *x.shape[-2:])
        assert network.eval()(x).shape == (1, 1, *x.shape[-2:])
    theirs = create_unet_model(models.squeezenet1_1, 1, SIZE, pretrained=False).eval()
    theirs.load_state_dict(network.state_dict())
    x = torch.randn(1, 3, 17, 23)  # 17 is the smallest side that fastai's takes
    assert torch.equal(network(x), theirs(x))
    with pytest.raises(RuntimeError):
        theirs(x[..., :16])


def test_it_is_copied_and_goes_on_in_mid_training(net):
    x = torch.randn(2, 3, 33, 33)
    loss = net(x).mean()
    twin = copy.deepcopy(net)
    loss.backward()
    assert torch.equal(twin(x), net(x))


def test_it_compiles_in_one_graph(net):
    x = torch.randn(2, 3, 40, 33)
    compiled = torch.compile(net.eval(), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), net(x))


def test_it_exports_for_images_of_other_sizes(net):
    rows, cols = (32 * torch.export.Dim(name, min=2) for name in ("rows", "cols"))
    program = torch.export.export(
        net.eval(), (torch.randn(1, 3, 64, 96),), dynamic_shapes=({2: rows, 3: cols},)
    )
    x = torch.randn(1, 3, 96, 64)
    torch.testing.assert_close(program.module()(x), net(x))


def test_onnx_runs_it_with_the_same_result(net, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    x = torch.randn(1, 3, 64, 96)
    torch.onnx.export(net.eval(), (x,), tmp_path / "net.onnx", input_names=["x"], verbose=False)
    (logits,) = runtime.InferenceSession(tmp_path / "net.onnx").run(None, {"x": x.numpy()})
    np.testing.assert_allclose(logits, net(x).detach(), atol=1e-3)  # float32, other kernels


def test_channels_last_and_bf16_change_the_numbers_only_a_little(net):
    x = torch.randn(2, 3, 40, 40)
    expected = net.eval()(x)
    net.to(memory_format=torch.channels_last)
    x = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(net(x), expected, rtol=1e-3, atol=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        difference = (net(x).float() - expected).abs().mean()
    assert difference < 0.05 * expected.std()  # bf16 has 8 bits of mantissa


def test_every_parameter_is_in_one_part(net):
    parts = net.parts()
    assert tuple(parts) == PARTS
    ids = [id(p) for part in parts.values() for module in part for p in module.parameters()]
    assert sorted(ids) == sorted(map(id, net.parameters()))
    assert parts["head"][0][0].out_channels == 2
    assert len(parts["encoder"][0]) == 8  # a resnet up to its last stage


def test_its_configuration_builds_it_again(net):
    config = json.loads(json.dumps(net.config))
    again = FastaiUNet(**config)
    again.load_state_dict(net.state_dict())
    x = torch.randn(1, 3, 50, 37)
    assert again.config == net.config
    assert torch.equal(again.eval()(x), net.eval()(x))


def test_a_network_that_json_cannot_hold_has_no_configuration():
    assert FastaiUNet("resnet18", size=SIZE, blur=True).config["blur"] is True
    assert FastaiUNet("resnet18", size=SIZE, act_cls=nn.SiLU).config is None


@pytest.mark.parametrize(("kind", "channels"), [("pth", 1), ("safetensors", 3), ("cached", 5)])
def test_pretrained_weights_arrive(kind, channels, torchvision_weights, tmp_path, monkeypatch):
    trained = torch.load(torchvision_weights, weights_only=True)
    weights = torchvision_weights
    if kind == "safetensors":
        weights = str(tmp_path / "weights.safetensors")
        save_file(trained, weights)
    elif kind == "cached":
        monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "checkpoints" / torchvision_weights.name).symlink_to(torchvision_weights)
        weights = models.ResNet18_Weights.IMAGENET1K_V1
    network = FastaiUNet("resnet18", channels, size=SIZE, weights=weights)
    encoder = network.layers[0]
    assert torch.equal(encoder[7][1].conv2.weight, trained["layer4.1.conv2.weight"])
    first = trained["conv1.weight"]
    if channels == 1:
        torch.testing.assert_close(encoder[0].weight, first.sum(1, keepdim=True))
    else:
        assert torch.equal(encoder[0].weight[:, :3], first)
        assert not encoder[0].weight[:, 3:].any()
    mean = {1: (0.449,), 3: (0.485, 0.456, 0.406), 5: None}[channels]
    assert (network.normalisation and network.normalisation[0]) == (mean and pytest.approx(mean))


def test_a_random_start_expects_no_statistics(net):
    assert net.normalisation is None
    assert FastaiUNet("resnet18", size=SIZE, weights=None).normalisation is None


def test_weights_that_cannot_be_downloaded_name_the_ways_out(tmp_path, monkeypatch):
    def offline(*_args, **_options):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    ways = r"resnet18.*no network.*pretrained=False.*--no-pretrained.*checkpoints.*weights=PATH"
    with pytest.raises(ArchitectureError, match=ways):
        FastaiUNet("resnet18", size=SIZE, weights=True)


@pytest.mark.parametrize("content", [None, b"", b"not weights", b"PK\3\4 cut short"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_without_weights_is_named(tmp_path, content, suffix):
    path = tmp_path / f"some.{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArchitectureError, match=rf"some\.{suffix}.*could not be loaded"):
        FastaiUNet("resnet18", size=SIZE, weights=path)


def test_weights_of_another_network_are_refused(torchvision_weights):
    with pytest.raises(ArchitectureError, match=r"weights of resnet34 could not.*layer1\.2"):
        FastaiUNet("resnet34", size=SIZE, weights=torchvision_weights)
    with pytest.raises(ArchitectureError, match=r"'IMAGENET9' are not weights of.*resnet18"):
        FastaiUNet("resnet18", size=SIZE, weights="IMAGENET9")
    with pytest.raises(ArchitectureError, match="not weights of torchvision's resnet18"):
        FastaiUNet("resnet18", size=SIZE, weights=models.ResNet34_Weights.DEFAULT)


def test_a_pickle_that_runs_code_is_not_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle ran",))

    torch.save({"weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ArchitectureError, match=r"trap\.pth"):
        FastaiUNet("resnet18", size=SIZE, weights=tmp_path / "trap.pth")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"encoder": "resnet19"},
            "'resnet19' is not a network of torchvision; did you mean.*resnet18",
        ),
        ({"encoder": "zzzz"}, "'zzzz' is not a network of torchvision; there are alexnet"),
        ({"encoder": "alexnet", "size": (32, 32)}, r"cannot build.*alexnet.*size \(32, 32\)"),
        ({"encoder": "mobilenet_v2"}, "cannot build.*mobilenet_v2.*timm by its name"),
        ({"colour": 1}, r"cannot build.*\{'colour': 1\}"),
        ({"bottle": True}, r"cannot build.*\{'bottle': True\}"),
        ({"in_channels": 0}, "in_channels is 0; a whole number from 1 on"),
        ({"n_classes": 0}, "n_classes is 0; a whole number from 1 on"),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else "",
)
def test_what_cannot_be_built_says_why(options, message):
    with pytest.raises(ArchitectureError, match=message):
        FastaiUNet(**{"encoder": "resnet18", "size": SIZE, **options})
