"""Masks one by one, an evaluation at the end."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, confusion_matrix, f1_score, jaccard_score

from fastunet.errors import MaskValueError, SizeMismatchError
from fastunet.evaluation.scorer import Scorer
from fastunet.labels import VOID
from fastunet.metrics import Calibration, Confusion, boundary_iou, count_objects, hausdorff95
from fastunet.metrics import scores as formulas


@st.composite
def sets(draw):
    """How many classes, and (predicted, truth) of some images of different sizes, void and all."""
    classes = draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = []
    for _ in range(draw(st.integers(1, 4))):
        size = rng.integers(1, 7, 2)
        there = rng.choice(classes, rng.integers(0, classes + 1), replace=False)
        images.append((rng.integers(0, classes, size), rng.choice([*there, VOID], size)))
    return classes, images


@given(sets())
def test_its_figures_are_those_of_scikit_learn_and_of_the_metrics(drawn):
    classes, images = drawn
    scorer, confusion = Scorer("abcde"[:classes], objects=False), Confusion(per_image=True)
    for i, (predicted, truth) in enumerate(images):
        scorer.add(str(i), predicted, truth)
        confusion.update(torch.from_numpy(predicted), torch.from_numpy(truth), classes)
    result = scorer.result()
    truth = np.concatenate([truth.ravel() for _, truth in images])
    predicted = np.concatenate([mask.ravel() for mask, _ in images])[truth != VOID]
    truth = truth[truth != VOID]
    for name, average in (("dice", formulas.dice), ("iou", formulas.iou)):
        ours = [getattr(row, name) for row in result.per_class]
        np.testing.assert_array_equal(ours, average(confusion.counts))
        per_image = confusion.mean(average, "per_image")
        assert result.overall[f"{name}_per_image"] == pytest.approx(per_image, nan_ok=True)
        micro = confusion.mean(average, "micro")
        assert result.overall[f"{name}_micro"] == pytest.approx(micro, nan_ok=True)
    assert result.dice == pytest.approx(confusion.mean(formulas.dice), nan_ok=True)
    assert result.mean_iou == pytest.approx(confusion.mean(formulas.iou), nan_ok=True)
    assert result.pixels.sum() == len(truth)
    if not len(truth):
        return
    labels = list(range(classes))
    np.testing.assert_array_equal(
        result.confusion, confusion_matrix(truth, predicted, labels=labels)
    )
    for row, dice, iou, index in zip(
        result.per_class,
        f1_score(truth, predicted, average=None, labels=labels, zero_division=np.nan),
        jaccard_score(truth, predicted, average=None, labels=labels, zero_division=0),
        labels,
        strict=True,
    ):
        if index in truth or index in predicted:
            assert (row.dice, row.iou) == pytest.approx((dice, iou))
        assert row.pixels == (truth == index).sum()
        assert row.images == sum((mask == index).any() for _, mask in images)


def test_everything_void_or_nothing_at_all_has_no_scores_and_breaks_nothing():
    empty = Scorer(["off", "on"]).result("none")
    scorer = Scorer(["off", "on"], boundary=True)
    mask, void, sure = np.ones((4, 5), int), np.full((4, 5), VOID), np.ones((1, 4, 5), np.float32)
    scorer.add("void.png", mask, void, probabilities=sure)
    void = scorer.result()
    for result in (empty, void):
        assert np.isnan(result.dice)
        assert result.intervals["dice"] is None
        assert result.to_dict()["dice"] is None
        assert result.worst() == []
        assert "absent" in str(result)
        assert result.plot().axes


def test_an_image_without_foreground_counts_when_foreground_is_invented():
    scorer = Scorer(["off", "on"])
    nothing, spot = np.zeros((4, 4), int), np.eye(4, dtype=int)
    scorer.add("clean.png", nothing, nothing)
    assert np.isnan(scorer.result().dice)
    scorer.add("invented.png", spot, nothing)
    scorer.add("right.png", spot, spot)
    result = scorer.result()
    assert result.dice == pytest.approx(2 * 4 / (2 * 4 + 4))
    np.testing.assert_array_equal(result.per_image["dice"], [np.nan, 0, 1])
    assert result.overall["dice_per_image"] == 0.5
    assert result.worst(9) == [("invented.png", 0), ("right.png", 1)]


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_objects_and_outlines_are_those_of_the_metrics(masks, scored, classes):
    result = scored(4, classes, boundary=True)
    calibration = Calibration()
    drawn = list(masks(4, classes))
    for _, _, truth, probabilities in drawn:
        calibration.update(torch.from_numpy(probabilities)[None], torch.from_numpy(truth)[None])
    assert result.probabilities.calibration_error == calibration.expected_error()
    assert result.probabilities.brier == calibration.brier()
    assert sum(result.probabilities.bin_pixels) == result.pixels.sum()
    for at, measure in ((0, hausdorff95), (2, boundary_iou)):
        for i, (_, predicted, truth, _) in enumerate(drawn):
            expected = measure(predicted, truth, classes)
            np.testing.assert_array_equal(
                result.boundary[i, :, at], np.where(np.isinf(expected), np.nan, expected)
            )
    if classes == 3:
        assert result.objects is None
        assert result.probabilities.threshold_dice == ()
        return
    truth = np.concatenate([truth.ravel() for _, _, truth, _ in drawn])
    probs = np.concatenate([probs.ravel() for *_, probs in drawn]).astype(float)[truth != VOID]
    brier = brier_score_loss(truth[truth != VOID], probs)
    assert result.probabilities.brier == pytest.approx(brier, abs=1e-6)  # float32 probabilities
    assert result.objects.found == sum(count_objects(p, t).found for _, p, t, _ in drawn)
    # the masks were decided at a half, which is one of the thresholds
    assert result.probabilities.threshold_dice[512] == pytest.approx(result.dice)


def test_a_distance_counts_where_the_class_is_in_both_masks():
    scorer = Scorer(["off", "on"], boundary=True)
    spot, shifted, nothing = (np.zeros((9, 9), int) for _ in range(3))
    spot[4, 2] = shifted[4, 5] = 1
    scorer.add("a", spot, shifted)
    scorer.add("b", nothing, shifted)
    outlines = scorer.result().outlines
    assert outlines["hd95"][1] == 3
    assert outlines["boundary_iou"][1] == 0


@pytest.mark.parametrize(
    ("predicted", "truth", "error", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), SizeMismatchError, "a.png: .* 2 x 3"),
        (np.full((2, 2), 2), np.zeros((2, 2), int), MaskValueError, "a.png holds 2"),
        (np.full((2, 2), -1), np.zeros((2, 2), int), MaskValueError, "a.png holds -1"),
        (np.full((2, 2), VOID), np.zeros((2, 2), int), MaskValueError, "a.png holds 255"),
        (np.zeros((2, 2), int), np.array([[0, 7], [300, VOID]]), MaskValueError, "holds 7, 300:"),
    ],
)
def test_what_is_no_mask_is_told_with_its_name_and_not_counted(predicted, truth, error, message):
    scorer = Scorer(["off", "on"])
    with pytest.raises(error, match=message):
        scorer.add("a.png", predicted, truth)
    assert scorer.result().images == 0


def test_a_name_comes_once_and_probabilities_always_or_never():
    scorer, mask = Scorer(["off", "on"]), np.eye(3, dtype=int)
    scorer.add("a", mask, mask)
    with pytest.raises(ValueError, match="a was added already"):
        scorer.add("a", mask, mask)
    with pytest.raises(ValueError, match="with all images, or with none"):
        scorer.add("b", mask, mask, probabilities=np.ones((1, 3, 3), np.float32))
    with pytest.raises(ValueError, match=r"shape \(3, 3\); \(1, 3, 3\) was expected"):
        Scorer(["off", "on"]).add("b", mask, mask, probabilities=np.ones((3, 3), np.float32))
    with pytest.raises(ValueError, match="1 classes"):
        Scorer(["one"])


def test_what_is_kept_of_an_image_does_not_grow_with_its_size():
    scorer, side = Scorer(list("abc")), 256
    tracemalloc.start()
    try:
        for i in range(120):
            if i == 20:
                before, _ = tracemalloc.get_traced_memory()
            scorer.add(f"{i}", np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 9 counts of 8 bytes, and the objects that hold them; a mask would be 65,536 bytes
    assert (after - before) / 100 < 1000
