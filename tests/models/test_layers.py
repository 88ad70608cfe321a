"""The layers that networks are composed of."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fastunet.errors import ArchitectureError
from fastunet.models.layers import (
    AttentionGate,
    DoubleConv,
    ResidualConv,
    activation_layer,
    logit_layer,
    norm_layer,
    pad_to_step,
    set_prior,
    upsample,
)

sides = st.integers(1, 70)


@given(st.integers(1, 130))
def test_group_norm_takes_any_number_of_channels(channels):
    norm = norm_layer("group", channels)
    x = torch.randn(1, channels, 3, 3)
    groups = norm.num_groups
    each = x.reshape(1, groups, -1)
    deviation = (each.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    expected = ((each - each.mean(-1, keepdim=True)) / deviation).reshape(x.shape)
    torch.testing.assert_close(norm(x), expected)
    assert groups == 1 or (groups <= 32 and channels // groups >= 4)


@pytest.mark.parametrize(
    ("channels", "groups"), [(3, 1), (8, 2), (16, 4), (64, 16), (128, 32), (1024, 32), (37, 1)]
)
def test_group_norm_has_up_to_32_groups_of_four_channels_or_more(channels, groups):
    assert norm_layer("group", channels).num_groups == groups


def test_each_norm_evens_out_the_channels_of_an_image():
    x = 5 + 3 * torch.randn(4, 8, 16, 16)
    for kind in ("batch", "instance", "group"):
        out = norm_layer(kind, 8)(x)
        assert abs(out.mean()) < 1e-4
        assert abs(out.std() - 1) < 1e-2
    assert norm_layer("none", 8) is None


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("block", [DoubleConv, ResidualConv])
def test_a_convolution_has_a_bias_just_where_no_norm_takes_it_away(block, norm):
    convolutions = [m for m in block(2, 8, norm).modules() if isinstance(m, nn.Conv2d)]
    assert all((conv.bias is not None) == (norm == "none") for conv in convolutions)


@pytest.mark.parametrize("kind", ["relu", "leaky_relu", "gelu", "silu"])
def test_an_activation_is_the_one_of_its_name(kind):
    x = torch.randn(50)
    torch.testing.assert_close(activation_layer(kind)(x.clone()), getattr(F, kind)(x))


@pytest.mark.parametrize("channels", [4, 6])
def test_a_residual_block_with_a_silent_body_is_its_shortcut(channels):
    block = ResidualConv(4, channels, "none")
    nn.init.zeros_(block.body[-1].weight)
    nn.init.zeros_(block.body[-1].bias)
    x = torch.randn(2, 4, 5, 7)
    before = x.clone()
    expected = x if channels == 4 else F.conv2d(x, block.shortcut[0].weight, block.shortcut[0].bias)
    torch.testing.assert_close(block(x), expected.relu())
    assert torch.equal(x, before)  # the activation in place does not reach the input


@pytest.mark.parametrize("kind", ["transposed", "bilinear", "pixel_shuffle"])
def test_upsampling_doubles_height_and_width(kind):
    assert upsample(kind, 6, 3)(torch.randn(2, 6, 5, 7)).shape == (2, 3, 10, 14)


def test_a_1x1_convolution_and_bilinear_enlargement_commute():
    convolve, enlarge = layer = upsample("bilinear", 6, 3)
    x = torch.randn(2, 6, 5, 7)
    torch.testing.assert_close(layer(x), convolve(enlarge(x)))


def test_an_untrained_pixel_shuffle_enlarges_as_nearest_neighbour_does():
    layer = upsample("pixel_shuffle", 6, 3)
    x = torch.randn(2, 6, 5, 7)
    weight, bias = layer[0].weight[::4], layer[0].bias[::4]
    expected = F.interpolate(F.conv2d(x, weight, bias), scale_factor=2, mode="nearest")
    torch.testing.assert_close(layer(x), expected)
    assert weight.std() > 0


def test_an_attention_gate_weighs_each_pixel_of_the_skip():
    gate = AttentionGate(4, 6)
    skip, signal = 100 * torch.randn(2, 4, 5, 7), 100 * torch.randn(2, 6, 5, 7)
    weights = gate.weights(skip, signal)
    assert weights.shape == (2, 1, 5, 7)
    assert 0 <= weights.min() < weights.max() <= 1
    torch.testing.assert_close(gate(skip, signal), skip * weights)


def test_an_attention_gate_can_be_shut_and_opened():
    gate = AttentionGate(4, 4)
    skip, signal = torch.randn(1, 4, 3, 3), torch.randn(1, 4, 3, 3)
    nn.init.zeros_(gate.to_weight.weight)
    for bias, share in [(-100.0, 0), (0.0, 0.5), (100.0, 1)]:
        nn.init.constant_(gate.to_weight.bias, bias)
        torch.testing.assert_close(gate(skip, signal), share * skip)


@given(sides, sides, st.sampled_from([1, 2, 7, 16, 32]))
def test_padding_repeats_the_last_row_and_column_up_to_a_multiple(height, width, step):
    x = torch.randn(1, 2, height, width)
    padded = pad_to_step(x, step)
    for before, after in zip(x.shape[-2:], padded.shape[-2:], strict=True):
        assert after % step == 0
        assert after >= 2 * step
        assert after - before < step or after == 2 * step  # no more than is needed
    rows = torch.arange(padded.shape[-2]).clamp(max=height - 1)
    columns = torch.arange(padded.shape[-1]).clamp(max=width - 1)
    torch.testing.assert_close(padded, x[..., rows[:, None], columns])


def test_padding_returns_a_tensor_that_fits_as_it_is():
    x = torch.randn(1, 1, 16, 24)
    assert pad_to_step(x, 8) is x


@pytest.mark.parametrize("channels", [16, 64, 256])
def test_untrained_logits_are_about_as_far_apart_as_the_maps_are(channels):
    torch.manual_seed(0)
    maps = torch.randn(2, channels, 16, 16)
    logits = [logit_layer(channels, 12)(maps).std() for _ in range(8)]
    assert 0.7 < sum(logits) / 8 < 1.6  # torch's own layer gives 0.6


@pytest.mark.parametrize("frequencies", [(0.9, 0.1), (0.3, 0.7)])
def test_the_prior_of_a_binary_head_is_the_share_of_the_foreground(frequencies):
    head = nn.Conv2d(4, 1, 1)
    set_prior(head, frequencies)
    assert head.bias.sigmoid().item() == pytest.approx(frequencies[1])


def test_the_prior_of_several_classes_is_their_share():
    head = nn.Conv2d(4, 3, 1)
    set_prior(head, (0.7, 0.2, 0.1))
    torch.testing.assert_close(head.bias.softmax(0), torch.tensor([0.7, 0.2, 0.1]))
    assert abs(head.bias.sum()) < 1e-5


def test_a_class_that_is_never_seen_keeps_a_share():
    binary, several = nn.Conv2d(4, 1, 1), nn.Conv2d(4, 3, 1)
    set_prior(binary, (1, 0))
    assert binary.bias.item() == pytest.approx(math.log(1e-3), rel=1e-5)
    set_prior(several, (0.5, 0.5, 0))
    assert several.bias.softmax(0)[2].item() == pytest.approx(1e-3, rel=2e-3)


@pytest.mark.parametrize(
    ("channels", "frequencies", "message"),
    [
        (1, (0.1,), "1 class frequencies .* 2 were expected .* 1 logit channel"),
        (3, (0.9, 0.1), "2 class frequencies .* 3 were expected .* 3 logit channels"),
        (1, (-0.1, 1.1), r"\[-0.1, 1.1\]; shares from 0 to 1"),
        (1, (math.nan, 0.5), "nan"),
    ],
)
def test_a_wrong_prior_is_refused(channels, frequencies, message):
    with pytest.raises(ArchitectureError, match=message):
        set_prior(nn.Conv2d(4, channels, 1), frequencies)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: norm_layer("layer", 3), "norm is 'layer'; one of 'batch', .* 'none'"),
        (lambda: activation_layer("tanh"), "activation is 'tanh'; one of 'relu', .* 'silu'"),
        (lambda: upsample("nearest", 3, 3), "up is 'nearest'; one of 'transposed', .* 'pixel_sh"),
    ],
)
def test_an_unknown_kind_is_refused_with_those_that_are_known(make, message):
    with pytest.raises(ArchitectureError, match=message):
        make()
