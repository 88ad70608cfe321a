"""The boundary loss against MONAI's, and its distances against scipy's."""

import math

import monai.losses as monai
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from fastunet.labels import VOID
from fastunet.losses import BoundaryLoss
from fastunet.losses.boundary_loss import signed_distance

seeds = st.integers(0, 1000)


@given(seeds, st.sampled_from([0.02, 0.5, 0.98]), st.sampled_from([0.0, 0.3]))
def test_distances_are_scipys_and_void_is_neither_inside_nor_outside(seed, share, void):
    rng = np.random.default_rng(seed)
    counts = rng.random((23, 40)) >= void
    inside = (rng.random((23, 40)) < share) & counts
    outside = counts & ~inside
    expected = np.zeros((23, 40))
    if inside.any() and outside.any():
        expected[outside] = distance_transform_edt(~inside)[outside]
        expected[inside] = 1 - distance_transform_edt(~outside)[inside]
    found = signed_distance(inside, counts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_monais_in_diagonals_less_what_a_perfect_prediction_has(batch, channels):
    logits, target = batch(channels, void=0, h=16, w=12)
    truth = (
        target[:, None].float()
        if channels == 1
        else F.one_hot(target, channels).movedim(-1, 1).float()
    )
    theirs = monai.BoundaryLoss(sigmoid=channels == 1, softmax=channels > 1)
    perfect = monai.BoundaryLoss()
    expected = (theirs(logits, truth) - perfect(truth, truth)) / math.hypot(16, 12)
    torch.testing.assert_close(BoundaryLoss()(logits, target), expected, rtol=1e-6, atol=1e-6)


def test_a_false_positive_costs_more_the_farther_it_is():
    target = torch.zeros(1, 1, 20, dtype=torch.long)
    target[..., :4] = 1
    certain = 60 * target[:, None].float() - 30
    costs = []
    for column in (6, 12, 18):
        logits = certain.clone()
        logits[..., column] = 30
        costs.append(BoundaryLoss()(logits, target).item() * 20 * math.hypot(1, 20))
    assert costs == pytest.approx([3, 9, 15], abs=1e-4)


def test_void_between_a_pixel_and_the_outline_is_reached_across():
    inside = np.array([[True, True, False, False, False]])
    counts = np.array([[True, True, False, False, True]])
    assert signed_distance(inside, counts).tolist() == [[-3, -2, 0, 0, 3]]


def test_a_class_without_an_outline_has_no_term():
    logits = torch.randn(1, 1, 5, 5)
    for everywhere in (0, 1):
        target = torch.full((1, 5, 5), everywhere)
        target[0, 0, 0] = VOID
        assert BoundaryLoss()(logits, target) == 0
