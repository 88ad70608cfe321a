"""What every network promises, whatever it is made of; one tester for all of them."""

import copy
import json
from functools import partial

import pytest
import torch

from fastunet.models.build import describe, rebuild
from fastunet.models.fastai_unet import FastaiUNet
from fastunet.models.timm_unet import TimmUNet
from fastunet.models.unet import UNet

EVERY_OPTION = {
    "norm": "group",
    "activation": "silu",
    "up": "pixel_shuffle",
    "residual": True,
    "attention": True,
    "dropout": 0.1,
    "deep_supervision": True,
}
NETWORKS = {
    "unet": partial(UNet, depth=3, width=4),
    "unet, classic": partial(UNet, width=4, norm="none", up_activation=True),
    "unet, every option": partial(UNet, depth=3, width=8, **EVERY_OPTION),
    "unet, instance norm": partial(UNet, depth=2, width=4, norm="instance", up="bilinear"),
    "timm, strides from 2": partial(TimmUNet, "test_resnet"),
    "timm, strides from 4": partial(TimmUNet, "test_convnext"),
    "timm, depthwise": partial(TimmUNet, "tf_efficientnet_lite0"),
    "timm, channels last": partial(TimmUNet, "swin_tiny_patch4_window7_224"),
    "timm, no pyramid": partial(TimmUNet, "test_vit", image_size=(64, 64)),
    "fastai": partial(FastaiUNet, "resnet18", size=(64, 64)),
}
SIZES = [(1, 1), (3, 50), (33, 47), (97, 131)]


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]


def picture(*size, channels=3, batch=1):
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(1))


def only(logits):
    """The finest logits, where deep supervision gives those of several depths."""
    return logits[0] if isinstance(logits, list) else logits


def test_logits_have_the_size_of_any_input_in_training_and_after(network):
    model = network(in_channels=3, n_classes=2)
    for size in SIZES:
        x = picture(*size)
        assert only(model.train()(x)).shape == (1, 2, *size)  # batch norm in a batch of one
        with torch.inference_mode():
            out = model.eval()(x)
        assert type(out) is torch.Tensor
        assert out.shape == (1, 2, *size)
        assert out.isfinite().all()


@pytest.mark.parametrize(("channels", "n_classes"), [(1, 12), (3, 1), (4, 1), (13, 12)])
def test_any_number_of_channels_and_classes(network, channels, n_classes):
    model = network(in_channels=channels, n_classes=n_classes).eval()
    with torch.inference_mode():
        assert model(picture(40, 32, channels=channels)).shape == (1, n_classes, 40, 32)


@pytest.fixture
def model(network):
    return network(in_channels=3, n_classes=2)


def test_every_parameter_gets_a_gradient(model):
    out = model.train()(picture(64, 64, batch=2))
    outs = out if isinstance(out, list) else [out]
    sum(one.square().mean() for one in outs).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    wrong = [name for name, p in model.named_parameters() if not p.grad.isfinite().all()]
    assert wrong == []


def test_channels_last_gives_the_same_numbers(model):
    x = picture(50, 70, batch=2)
    with torch.inference_mode():
        expected = model.eval()(x)
        model.to(memory_format=torch.channels_last)
        got = model(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)  # sums in another order


def test_bfloat16_gives_about_the_same_numbers(model):
    x = picture(64, 64, batch=2)
    with torch.inference_mode():
        expected = model.eval()(x)
        with torch.autocast("cpu", torch.bfloat16):
            got = model(x).float()
    assert (got - expected).abs().mean() < 0.1 * expected.std() + 1e-3  # 8 bits of mantissa


def test_it_trains_in_bfloat16(model):
    with torch.autocast("cpu", torch.bfloat16):
        out = only(model.train()(picture(33, 47, batch=2)))
    out.float().square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("size", [pytest.param((64, 64), marks=pytest.mark.slow), (33, 47)])
def test_it_compiles_in_one_graph(model, size):
    x = picture(*size, batch=2)
    with torch.no_grad():
        expected = model.eval()(x)
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), expected)
    torch.compiler.reset()


def test_it_exports(model):
    x = picture(33, 47, batch=2)
    with torch.no_grad():
        expected = model.eval()(x)
        program = torch.export.export(model, (x,))
        torch.testing.assert_close(program.module()(x), expected, rtol=1e-4, atol=1e-5)


def test_it_can_be_copied_in_the_middle_of_training(model):
    x = picture(33, 47, batch=2)
    loss = only(model.train()(x)).square().mean()
    twin = copy.deepcopy(model)  # the graph of the step is alive
    loss.backward()
    with torch.inference_mode():
        torch.testing.assert_close(twin.eval()(x), model.eval()(x))
    assert all(p.grad is None for p in twin.parameters())
    assert not {p.data_ptr() for p in twin.parameters()} & {
        p.data_ptr() for p in model.parameters()
    }


def test_it_is_built_again_from_json_and_takes_the_weights(model):
    again = rebuild(json.loads(json.dumps(describe(model))))
    again.load_state_dict(model.state_dict())
    x = picture(33, 47)
    with torch.inference_mode():
        torch.testing.assert_close(again.eval()(x), model.eval()(x), rtol=0, atol=0)


def test_its_parts_hold_each_parameter_once(model):
    parts = model.parts()
    assert list(parts) == ["encoder", "decoder", "head"]
    held = [id(p) for part in parts.values() for module in part for p in module.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
