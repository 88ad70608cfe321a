"""Cross-entropy, focal and top-k losses against torch's and segmentation_models_pytorch's."""

import numpy as np
import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fastunet.errors import OptionError
from fastunet.labels import VOID
from fastunet.losses import PixelCrossEntropyLoss, PixelFocalLoss, TopKLoss

seeds = st.integers(0, 1000)
weights = st.sampled_from([None, [0.5, 1.0, 4.0]])
close = dict(rtol=1e-6, atol=1e-6)


@given(seeds, weights, st.sampled_from([0.0, 0.1, 1.0]))
def test_cross_entropy_is_torchs(batch, seed, weights, smoothing):
    logits, target = batch(3, seed)
    expected = F.cross_entropy(
        logits,
        target,
        None if weights is None else torch.tensor(weights),
        ignore_index=VOID,
        label_smoothing=smoothing,
    )
    loss = PixelCrossEntropyLoss(weights, label_smoothing=smoothing)
    torch.testing.assert_close(loss(logits, target), expected, **close)


@given(seeds)
def test_binary_cross_entropy_is_torchs(batch, seed):
    logits, target = batch(1, seed)
    keep = target != VOID
    expected = F.binary_cross_entropy_with_logits(logits[:, 0][keep], target[keep].float())
    torch.testing.assert_close(PixelCrossEntropyLoss()(logits, target), expected, **close)


@given(
    seeds,
    st.sampled_from([None, [0.5, 3.0]]),
    st.sampled_from(
        [
            lambda weights: PixelCrossEntropyLoss(weights, label_smoothing=0.2),
            lambda weights: PixelFocalLoss(1.5, weights),
            lambda weights: TopKLoss(25, weights),
        ]
    ),
)
def test_one_channel_is_two_channels_of_which_one_is_zero(batch, seed, weights, make):
    logits, target = batch(1, seed)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    torch.testing.assert_close(make(weights)(logits, target), make(weights)(two, target), **close)


def test_smoothed_losses_are_smps_where_nothing_is_void(batch):
    logits, target = batch(4, void=0)
    ours = PixelCrossEntropyLoss(label_smoothing=0.1)(logits, target)
    theirs = smp.SoftCrossEntropyLoss(smooth_factor=0.1)(logits, target)
    torch.testing.assert_close(ours, theirs, **close)
    logits, target = batch(1, void=0)
    ours = PixelCrossEntropyLoss(label_smoothing=0.2)(logits, target)
    theirs = smp.SoftBCEWithLogitsLoss(smooth_factor=0.1)(logits[:, 0], target.float())
    torch.testing.assert_close(ours, theirs, **close)


@given(seeds, st.sampled_from([0.0, 0.5, 2.0, 5.0]))
def test_binary_focal_is_smps(batch, seed, gamma):
    logits, target = batch(1, seed)
    theirs = smp.FocalLoss("binary", gamma=gamma, ignore_index=VOID)
    ours = PixelFocalLoss(gamma)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target.float()), **close)


@given(seeds, weights)
def test_focal_is_the_formula_of_the_paper(batch, seed, weights):
    logits, target = batch(3, seed)
    p = logits.softmax(1).movedim(1, -1)[target != VOID].numpy().astype(float)
    y = target[target != VOID].numpy()
    p, w = p[np.arange(len(y)), y], np.ones(3) if weights is None else np.array(weights)
    expected = (w[y] * (1 - p) ** 2 * -np.log(p)).sum() / w[y].sum()
    assert PixelFocalLoss(2, weights)(logits, target).item() == pytest.approx(expected, abs=1e-6)


@given(
    seeds,
    st.sampled_from([1, 10, 33.3, 50, 100]),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from([1, 200]),  # with 200 many pixels have a loss of exactly 0, as void has
)
def test_top_k_is_the_mean_of_the_hardest_pixels_that_count(batch, seed, percent, void, scale):
    logits, target = batch(3, seed, void)
    each = F.cross_entropy(scale * logits, target, ignore_index=VOID, reduction="none")
    each = each[target != VOID].sort(descending=True).values
    kept = int(np.ceil(len(each) * percent / 100))
    loss = TopKLoss(percent)
    torch.testing.assert_close(loss(scale * logits, target), each[:kept].mean(), **close)


def test_all_of_top_k_is_cross_entropy(batch):
    logits, target = batch(3)
    options = dict(class_weights=[1.0, 2.0, 0.5], label_smoothing=0.1)
    expected = PixelCrossEntropyLoss(**options)(logits, target)
    torch.testing.assert_close(TopKLoss(100, **options)(logits, target), expected, **close)


def test_settings_outside_their_range_are_refused():
    for make in (
        lambda: TopKLoss(0),
        lambda: TopKLoss(101),
        lambda: PixelFocalLoss(-1),
        lambda: PixelCrossEntropyLoss(label_smoothing=1.5),
    ):
        with pytest.raises(OptionError, match="was expected"):
            make()
