"""Scores against the threshold, against numpy pixel by pixel."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastunet.errors import MaskValueError, SizeMismatchError
from fastunet.labels import VOID
from fastunet.logits import decide
from fastunet.metrics import ThresholdCurve, dice, iou, precision, recall


@st.composite
def predictions(draw):
    """Probabilities of the foreground, many of them at a threshold, and their truth."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    probs = rng.random((3, 1, 4, 5), np.float32)
    if draw(st.booleans()):
        probs = np.round(probs * 16) / np.float32(16)
    target = rng.choice(draw(st.sampled_from([[0, 1], [0, 1, VOID], [0], [1], [VOID]])), (3, 4, 5))
    return torch.from_numpy(probs), torch.from_numpy(target)


@given(predictions(), st.integers(0, 2))
def test_the_counts_are_those_of_deciding_at_each_threshold(case, cut):
    probs, target = case
    curve = ThresholdCurve()
    for part in (slice(None, cut), slice(cut, None)):
        curve.update(probs[part], target[part])
    keep = (target != VOID).numpy()
    truth = target.numpy()[keep]
    for k in (0, 1, 63, 64, 65, 511, 512, 513, 960, 1023):
        guess = decide(probs, curve.thresholds[k].item()).numpy()[keep]
        expected = [[((truth == t) & (guess == p)).sum() for p in (0, 1)] for t in (0, 1)]
        np.testing.assert_array_equal(curve.counts[k], expected)


@given(predictions())
def test_the_best_threshold_has_the_highest_dice_nearest_to_a_half(case):
    probs, target = case
    curve = ThresholdCurve()
    curve.update(probs, target)
    keep = (target != VOID).numpy()
    truth, p = target.numpy()[keep] == 1, probs[:, 0].numpy()[keep]
    scores = {}
    for threshold in np.arange(1024) / 1024:
        guess = p > threshold
        total = truth.sum() + guess.sum()
        scores[threshold] = 2 * (truth & guess).sum() / total if total else 0
    best = [t for t, score in scores.items() if score == max(scores.values())]
    expected = min(best, key=lambda t: (abs(t - 0.5), t))
    assert curve.best_threshold() == (expected if truth.any() else 0.5)


def test_scores_of_the_foreground_stand_against_the_thresholds():
    curve = ThresholdCurve()
    curve.update(torch.tensor([0.25, 0.5, 0.75]).view(1, 1, 1, 3), torch.tensor([[[0, 1, 1]]]))
    at = [0, 256, 512, 768]  # thresholds 0, 1/4, 1/2, 3/4
    assert curve.thresholds[at].tolist() == [0, 0.25, 0.5, 0.75]
    assert curve.score(precision)[at].tolist() == pytest.approx([2 / 3, 1, 1, 0])
    assert curve.score(recall)[at].tolist() == pytest.approx([1, 1, 0.5, 0])
    assert curve.score(iou)[at].tolist() == pytest.approx([2 / 3, 1, 0.5, 0])
    assert curve.score(dice)[at].tolist() == pytest.approx([0.8, 1, 2 / 3, 0])


def test_nothing_counted_leaves_the_usual_threshold():
    assert ThresholdCurve().best_threshold() == 0.5


def test_counting_never_waits_for_the_device():
    target = torch.empty(2, 8, 8, dtype=torch.int64, device="meta")  # holds no values to look at
    ThresholdCurve().update(torch.empty(2, 1, 8, 8, device="meta"), target)


def test_masks_of_another_size_are_refused():
    with pytest.raises(SizeMismatchError, match="1 x 2 x 3"):
        ThresholdCurve().update(torch.rand(1, 1, 2, 3), torch.zeros(1, 3, 2))


def test_more_than_two_classes_are_refused():
    with pytest.raises(ValueError, match="3 classes"):
        ThresholdCurve().update(torch.rand(1, 3, 2, 2), torch.zeros(1, 2, 2))
    curve = ThresholdCurve()
    curve.update(torch.rand(1, 1, 1, 2), torch.tensor([[[2, 0]]]))
    with pytest.raises(MaskValueError, match="1 pixels"):
        curve.best_threshold()
