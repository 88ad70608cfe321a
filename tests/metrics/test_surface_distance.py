"""Boundary scores, against MONAI, brute force and SciPy's morphology."""

import warnings

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from fastunet.errors import SizeMismatchError
from fastunet.labels import VOID
from fastunet.metrics import boundary_iou, hausdorff95, surface_dice


def disc(size, centre, radius, value=1):
    return cv2.circle(np.zeros(size, np.uint8), centre, radius, value, -1)


def one_pixel(row, column):
    mask = np.zeros((40, 50), np.uint8)
    mask[row, column] = 1
    return mask


full, empty = np.ones((40, 50), np.uint8), np.zeros((40, 50), np.uint8)
ring = disc((40, 50), (25, 20), 15) - disc((40, 50), (25, 20), 9)
checks = (np.indices((40, 50)).sum(0) % 2).astype(np.uint8)
noise = np.random.default_rng(0).integers(0, 2, (40, 50)).astype(np.uint8)
ADVERSARIAL = {
    "perfect": (ring, ring),
    "one pixel each": (one_pixel(0, 0), one_pixel(39, 49)),
    "one pixel against all": (one_pixel(3, 4), full),
    "all and all": (full, full),
    "inverted": (1 - ring, ring),
    "a disc beyond the edge": (disc((40, 50), (0, 39), 12), disc((40, 50), (5, 39), 12)),
    "a far speck": (ring | one_pixel(0, 0), ring),
    "checks and noise": (checks, noise),
}


@st.composite
def mask_pairs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([(1, 1), (1, 9), (12, 7), (24, 30)]))
    masks = rng.integers(0, draw(st.integers(1, 3)), (2, *size)).astype(np.uint8)
    if draw(st.booleans()):
        masks = np.stack([cv2.medianBlur(mask, 5) for mask in masks])
    masks[1][rng.random(size) < draw(st.sampled_from([0, 0.1, 1]))] = VOID
    return masks


def monai(function, predicted, truth, **options):
    """(3,) of the classes, with void in no class of either."""
    keep = truth != VOID
    pair = (
        torch.from_numpy(np.stack([(mask == c) & keep for c in range(3)])[None])
        for mask in (predicted, truth)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty masks
        return function(*pair, include_background=True, **options)[0].double().numpy()


def agree(predicted, truth, tolerance):
    there = [((predicted == c) & (truth != VOID)).any() for c in range(3)]
    one_side = np.array([there[c] != (truth == c).any() for c in range(3)])
    far = hausdorff95(predicted, truth, 3)
    assert (far[one_side] == np.inf).all()
    theirs = monai(compute_hausdorff_distance, predicted, truth, percentile=95)
    # MONAI interpolates the percentile in float32; distances of all pairs are compared below
    np.testing.assert_allclose(far[~one_side], theirs[~one_side], rtol=1e-5)

    theirs = monai(compute_surface_dice, predicted, truth, class_thresholds=[tolerance] * 3)
    np.testing.assert_allclose(surface_dice(predicted, truth, 3, tolerance), theirs, rtol=1e-6)


@given(mask_pairs(), st.sampled_from([0, 1, 2.5]))
def test_hausdorff95_and_surface_dice_are_monais(masks, tolerance):
    agree(*masks, tolerance)


@pytest.mark.parametrize("case", ADVERSARIAL)
def test_they_are_monais_on_odd_masks(case):
    agree(*ADVERSARIAL[case], tolerance=2)


def outline(mask):
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    return np.argwhere(mask & ~binary_erosion(mask, cross))


@given(mask_pairs())
def test_distances_are_those_of_all_pairs_of_outline_pixels(masks):
    predicted, truth = masks
    ours, theirs = outline((predicted == 1) & (truth != VOID)), outline(truth == 1)
    if not (len(ours) and len(theirs)):
        return
    far = cdist(ours, theirs)
    ways = far.min(axis=1), far.min(axis=0)
    expected = max(np.percentile(way, 95) for way in ways)
    assert hausdorff95(predicted, truth, 2)[1] == pytest.approx(expected, abs=1e-12)
    near = np.concatenate(ways) <= 1.5
    assert surface_dice(predicted, truth, 2, 1.5)[1] == pytest.approx(near.mean(), abs=1e-12)


def band(mask, width):
    return mask & ~binary_erosion(mask, np.ones((3, 3), bool), iterations=width)


@given(mask_pairs(), st.sampled_from([0.02, 0.1, 0.3]))
def test_boundary_iou_is_that_of_bands_inside_the_outlines(masks, ratio):
    predicted, truth = masks
    width = max(1, round(ratio * np.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2)))
    for c, score in enumerate(boundary_iou(predicted, truth, 3, ratio)):
        ours, theirs = band((predicted == c) & (truth != VOID), width), band(truth == c, width)
        union = (ours | theirs).sum()
        expected = (ours & theirs).sum() / union if union else np.nan
        assert score == pytest.approx(expected, nan_ok=True)


def test_a_class_in_neither_or_in_one_mask_has_a_defined_score():
    both = (ring, ring * 2)
    assert np.isnan(hausdorff95(*both, 4)[3])
    assert np.isnan(surface_dice(*both, 4)[3])
    assert np.isnan(boundary_iou(*both, 4)[3])
    assert hausdorff95(*both, 4)[1:3].tolist() == [np.inf, np.inf]
    assert surface_dice(*both, 4)[1:3].tolist() == [0, 0]
    assert boundary_iou(*both, 4)[1:3].tolist() == [0, 0]


def test_what_is_predicted_on_void_changes_nothing():
    truth = ring.copy()
    truth[:, 30:] = VOID
    spoilt = np.where(truth == VOID, 1 - ring, ring)
    for score in (hausdorff95, surface_dice, boundary_iou):
        np.testing.assert_array_equal(score(spoilt, truth, 2), score(ring, truth, 2))


def test_masks_of_another_size_are_refused():
    with pytest.raises(SizeMismatchError, match="40 x 50 and the mask 50 x 40"):
        hausdorff95(ring, ring.T, 2)
