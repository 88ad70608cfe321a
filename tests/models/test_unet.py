"""The scratch U-Net and its options."""

import copy
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.export import Dim
from torch.nn import functional as F

from fastunet.errors import ArchitectureError
from fastunet.models.layers import DoubleConv
from fastunet.models.unet import UNet

OPTIONS = [
    {},
    {"norm": "none"},
    {"norm": "instance", "activation": "leaky_relu", "up": "bilinear"},
    {"norm": "group", "activation": "silu", "up": "pixel_shuffle", "residual": True},
    {"norm": "none", "activation": "gelu", "residual": True, "up_activation": True},
    {"attention": True, "dropout": 0.3, "deep_supervision": True},
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options))


def small(in_channels=3, n_classes=2, depth=2, width=4, **options) -> UNet:
    torch.manual_seed(0)
    return UNet(in_channels, n_classes, depth, width, **options)


def finest(logits):
    return logits[0] if isinstance(logits, list) else logits


def test_the_classic_network_has_the_classic_number_of_parameters():
    assert sum(p.numel() for p in UNet(3, 1, norm="none").parameters()) == 31_031_745


def test_the_default_network_keeps_the_names_of_its_weights():
    names = list(small(depth=1).state_dict())
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    block = ["0.weight", "3.weight", *(f"{i}.{name}" for i in (1, 4) for name in norm)]
    blocks = {f"{stage}.{name}" for stage in ("enc.0", "bottleneck", "dec.0") for name in block}
    assert set(names) == blocks | {"up.0.weight", "up.0.bias", "head.weight", "head.bias"}


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(OPTIONS), st.booleans())
def test_logits_have_the_size_of_any_input(height, width, options, training):
    model = small(2, 5, **options).train(training)
    assert finest(model(torch.randn(1, 2, height, width))).shape == (1, 5, height, width)


def test_only_what_does_not_fit_is_padded():
    model = small(depth=1)
    padded = []
    model.enc[0].register_forward_hook(lambda _m, _i, out: padded.append(tuple(out.shape[-2:])))
    for size in [(8, 6), (4, 4), (7, 5), (1, 1)]:
        model(torch.randn(1, 3, *size))
    assert padded == [(8, 6), (4, 4), (8, 6), (4, 4)]


@every_option
def test_every_parameter_learns_from_one_small_image(options):
    model = small(**options)
    out = model(torch.randn(1, 3, 21, 30))
    levels = out if isinstance(out, list) else [out]
    sum(level.square().mean() for level in levels).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


@every_option
@pytest.mark.parametrize("depth", [2, 5])
def test_activations_keep_their_scale_through_the_depth(options, depth):
    with torch.no_grad():
        out = finest(small(depth=depth, width=8, **options)(torch.randn(2, 3, 64, 64)))
    assert 0.01 < out.std() < 10


@every_option
def test_its_config_builds_the_same_network_again(options):
    model = small(**options).eval()
    again = UNet(**json.loads(json.dumps(model.config))).eval()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 9, 14)
    assert again.config == model.config
    torch.testing.assert_close(again(x), model(x))


@every_option
def test_each_parameter_is_in_one_part(options):
    model = small(**options)
    parts = model.parts()
    assert list(parts) == ["encoder", "decoder", "head"]
    held = [p for modules in parts.values() for module in modules for p in module.parameters()]
    assert len(held) == len(set(held))
    assert set(held) == set(model.parameters())
    assert model.head in parts["head"]


@every_option
def test_it_survives_what_deployment_and_training_do_to_it(options):
    model = small(**options)
    x = torch.randn(2, 3, 13, 18)
    finest(model(x)).mean().backward()
    copy.deepcopy(model)
    model.eval()
    expected = model(x)
    torch.testing.assert_close(model.to(memory_format=torch.channels_last)(x), expected)
    torch.testing.assert_close(torch.compile(model, backend="eager")(x), expected)
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), expected)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(x)
    torch.testing.assert_close(rough.float(), expected, rtol=0, atol=0.1)  # 8 bits, 10 layers
    with torch.autocast("cpu", torch.bfloat16):
        assert finest(model.train()(x)).isfinite().all()


def test_an_exported_network_takes_any_multiple_of_its_step():
    model = small().eval()
    rows, columns = Dim("rows", min=2, max=64), Dim("columns", min=2, max=64)
    sizes = {"x": {2: 4 * rows, 3: 4 * columns}}
    program = torch.export.export(model, (torch.randn(1, 3, 16, 20),), dynamic_shapes=sizes)
    for size in [(8, 8), (32, 12), (40, 64)]:
        x = torch.randn(1, 3, *size)
        torch.testing.assert_close(program.module()(x), model(x))


def test_each_norm_and_activation_is_behind_every_convolution():
    kinds = {"instance": nn.InstanceNorm2d, "group": nn.GroupNorm, "batch": nn.BatchNorm2d}
    for norm, kind in kinds.items():
        assert sum(isinstance(m, kind) for m in small(norm=norm).modules()) == 10
    for residual in (False, True):
        model = small(activation="silu", residual=residual)
        assert sum(isinstance(m, nn.SiLU) for m in model.modules()) == 10
        assert not any(isinstance(m, nn.ReLU) for m in model.modules())


def test_a_residual_network_has_a_shortcut_around_each_double_convolution():
    model = small(residual=True)
    assert not any(isinstance(m, DoubleConv) for m in model.modules())
    for block in (*model.enc, model.bottleneck, *model.dec):
        for p in block.body.parameters():
            nn.init.zeros_(p)  # nothing but the shortcuts is left
    out = model.eval()(torch.randn(1, 3, 16, 16))
    assert out.std() > 1e-4


@pytest.mark.parametrize("up", ["transposed", "bilinear", "pixel_shuffle"])
def test_an_activation_behind_the_enlargement_lets_nothing_negative_through(up):
    x = torch.randn(1, 8, 6, 6)
    plain, active = (small(up=up, up_activation=one).up[0] for one in (False, True))
    active[0].load_state_dict(plain.state_dict())
    assert plain(x).min() < 0
    torch.testing.assert_close(active(x), plain(x).relu())


def test_gates_that_are_shut_leave_nothing_of_the_skips():
    gated, plain = small(attention=True).eval(), small().eval()
    plain.load_state_dict(gated.state_dict(), strict=False)
    for gate in gated.gate:
        nn.init.zeros_(gate.to_weight.weight)
        nn.init.constant_(gate.to_weight.bias, -100.0)
    for decode in plain.dec:  # the skip comes first in what it convolves
        nn.init.zeros_(decode[0].weight.data[:, : decode[0].in_channels // 2])
    x = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(gated(x), plain(x))


def test_dropout_silences_channels_of_the_bottleneck_in_training_only():
    model = small(width=16, dropout=0.5)
    maps = []
    model.up[-1].register_forward_pre_hook(lambda _m, inputs: maps.append(inputs[0]))
    x = torch.randn(2, 3, 16, 16)
    model(x)
    silent = (maps.pop() == 0).all(dim=(2, 3)).float().mean().item()
    assert 0.3 < silent < 0.7  # of 128 channels
    model.eval()
    torch.testing.assert_close(model(x), model(x))
    assert (maps.pop() == 0).all(dim=(2, 3)).float().mean() < 0.1


@pytest.mark.parametrize(("depth", "levels"), [(1, 1), (2, 2), (4, 4), (5, 4)])
def test_deep_supervision_gives_logits_of_up_to_three_coarser_levels(depth, levels):
    model = small(depth=depth, width=2, deep_supervision=True)
    outputs = model(torch.randn(1, 3, 21, 30))
    assert isinstance(outputs, list)
    assert [tuple(out.shape) for out in outputs] == levels * [(1, 2, 21, 30)]


def test_the_coarser_logits_are_the_maps_of_the_decoder_enlarged_in_place():
    model = small(depth=3, deep_supervision=True)
    maps = {}
    for level, decode in enumerate(model.dec):
        decode.register_forward_hook(lambda _m, _i, out, key=level: maps.setdefault(key, out))
    x = torch.randn(1, 3, 21, 30)  # padded to 24 x 32
    logits = model(x)
    torch.testing.assert_close(logits[0], model.head(maps[0])[..., :21, :30])
    for level in (1, 2):
        size = (24, 32)
        coarse = model.coarse_heads[level - 1](maps[level])
        expected = F.interpolate(coarse, size=size, mode="bilinear")[..., :21, :30]
        torch.testing.assert_close(logits[level], expected)


def test_deep_supervision_costs_nothing_in_evaluation():
    model = small(deep_supervision=True).eval()
    plain = small().eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    calls = []
    model.coarse_heads[0].register_forward_hook(lambda *_: calls.append(1))
    x = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(model(x), plain(x))
    assert not calls


@pytest.mark.parametrize("frequencies", [(0.97, 0.03), (0.7, 0.2, 0.1)])
def test_with_a_prior_it_starts_near_the_frequency_of_each_class(frequencies):
    n_classes = 1 if len(frequencies) == 2 else len(frequencies)
    x, shares = torch.randn(2, 3, 32, 32), []
    for _ in range(8):
        model = small(n_classes=n_classes, width=16, deep_supervision=True)
        model.set_prior(frequencies)
        for logits in model(x):
            both = torch.cat([-logits, logits], dim=1).sigmoid()
            scores = both if n_classes == 1 else logits.softmax(1)
            shares.append(scores.mean(dim=(0, 2, 3)))
    # random features add to the bias: within a factor of 2, in the mean over networks and levels
    mean = torch.stack(shares).mean(dim=0)
    assert (mean / torch.tensor(frequencies)).log2().abs().max() < 1


WRONG = [
    ({"in_channels": 0}, "from 1 on"),
    ({"n_classes": 0}, "from 1 on"),
    ({"depth": 0}, "from 1 on"),
    ({"width": "64"}, "from 1 on"),
    ({"dropout": 1.0}, "from 0 to below 1"),
    ({"dropout": -0.1}, "from 0 to below 1"),
    ({"residual": "yes"}, "True or False"),
    ({"attention": None}, "True or False"),
    ({"deep_supervision": 2}, "True or False"),
    ({"up_activation": "relu"}, "True or False"),
    ({"norm": "x"}, "'batch', 'instance', 'group', 'none'"),
    ({"activation": "x"}, "'relu', 'leaky_relu', 'gelu', 'silu'"),
    ({"up": "x"}, "'transposed', 'bilinear', 'pixel_shuffle'"),
]


@pytest.mark.parametrize(("wrong", "expected"), WRONG)
def test_a_wrong_option_is_refused(wrong, expected):
    ((name, value),) = wrong.items()
    with pytest.raises(ArchitectureError, match=f"{name} is {value!r}; .*{expected}"):
        UNet(**{"in_channels": 3, "n_classes": 1, **wrong})
