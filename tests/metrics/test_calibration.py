"""Calibration error and Brier score, against torchmetrics and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from fastunet.errors import MaskValueError, SizeMismatchError
from fastunet.labels import VOID
from fastunet.logits import activate
from fastunet.metrics import Calibration


@st.composite
def probabilities(draw):
    """(B, C, H, W) probabilities, some of them 0, 1 or at the edge of a bin, and their truth."""
    channels = draw(st.sampled_from([1, 3, 5]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from([0.1, 2, 50]))  # unsure, as usual, saturated
    logits = torch.randn(4, channels, 5, 6, generator=generator) * spread
    classes = max(2, channels)
    target = torch.randint(0, classes, (4, 5, 6), generator=generator)
    target[torch.rand(4, 5, 6, generator=generator) < 0.2] = VOID
    probs = activate(logits)
    if channels == 1 and draw(st.booleans()):
        probs = (probs * 15).round() / 15
    return probs, target


def two_channels(probs):
    return torch.cat([1 - probs, probs], dim=1) if probs.shape[1] == 1 else probs


@given(probabilities(), st.sampled_from([1, 10, 15]))
def test_the_calibration_error_is_torchmetrics(case, n_bins):
    probs, target = case
    ours = Calibration(n_bins)
    ours.update(probs, target)
    both = two_channels(probs)
    pixels, classes = both.movedim(1, -1).flatten(0, 2), both.shape[1]
    options = {"n_bins": n_bins, "norm": "l1", "ignore_index": VOID}
    theirs = multiclass_calibration_error(pixels, target.flatten(), classes, **options)
    assert ours.expected_error() == pytest.approx(theirs.item(), abs=1e-6)


@given(probabilities())
def test_the_brier_score_is_scikit_learns(case):
    probs, target = case
    ours = Calibration()
    ours.update(probs, target)
    keep = target != VOID
    truth = target[keep].numpy()
    if probs.shape[1] == 1:
        theirs = brier_score_loss(truth, probs[:, 0][keep].double().numpy(), labels=[0, 1])
    else:
        known = probs.movedim(1, -1)[keep].double().numpy()
        theirs = ((known - np.eye(probs.shape[1])[truth]) ** 2).sum(1).mean()
    assert ours.brier() == pytest.approx(theirs, abs=1e-6)


@given(probabilities(), st.integers(1, 3))
def test_batches_and_their_order_change_nothing(case, cut):
    probs, target = case
    whole, parts = Calibration(), Calibration()
    whole.update(probs, target)
    parts.update(probs[cut:], target[cut:])
    parts.update(probs[:cut], target[:cut])
    assert parts.expected_error() == whole.expected_error()
    assert parts.brier() == whole.brier()


def test_the_bins_say_confidence_and_accuracy():
    probs = torch.tensor([0.75, 0.75, 0.25, 1.0]).view(1, 1, 1, 4)
    calibration = Calibration(n_bins=2)
    calibration.update(probs, torch.tensor([[[1, 0, 0, 1]]]))
    bins = calibration.reliability()
    assert bins.pixels.tolist() == [0, 3, 1]
    assert bins.confidence.tolist()[1:] == [0.75, 1]
    assert bins.accuracy.tolist()[1:] == pytest.approx([2 / 3, 1])
    assert math.isnan(bins.confidence[0])
    assert math.isnan(bins.accuracy[0])


def test_nothing_counted_is_nan():
    calibration = Calibration()
    calibration.update(torch.rand(1, 1, 2, 2), torch.full((1, 2, 2), VOID))
    for each in (calibration, Calibration()):
        assert math.isnan(each.expected_error())
        assert math.isnan(each.brier())


@pytest.mark.parametrize("channels", [1, 3])
def test_counting_never_waits_for_the_device(channels):
    target = torch.empty(2, 8, 8, dtype=torch.int64, device="meta")  # holds no values to look at
    Calibration().update(torch.empty(2, channels, 8, 8, device="meta"), target)


def test_values_that_are_no_class_are_told():
    calibration = Calibration()
    calibration.update(torch.rand(1, 3, 1, 2), torch.tensor([[[3, 0]]]))
    with pytest.raises(MaskValueError, match="1 pixels"):
        calibration.brier()


def test_masks_of_another_size_are_refused():
    with pytest.raises(SizeMismatchError, match="1 x 2 x 3"):
        Calibration().update(torch.rand(1, 3, 2, 3), torch.zeros(1, 3, 2))


def test_no_bins_are_refused():
    with pytest.raises(ValueError, match="n_bins=0"):
        Calibration(0)
