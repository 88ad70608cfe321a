"""Scores of counts, against torchmetrics and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torchmetrics.functional import classification as reference

from fastunet.labels import VOID
from fastunet.metrics import Confusion, dice, iou, mean_score, precision, recall, specificity
from fastunet.metrics.scores import accuracy

THEIRS = {
    dice: reference.multiclass_f1_score,
    iou: reference.multiclass_jaccard_index,
    precision: reference.multiclass_precision,
    recall: reference.multiclass_recall,
    specificity: reference.multiclass_specificity,
}


def counted(classes, predicted, target):
    confusion = Confusion(per_image=True)
    confusion.update(predicted, target, classes)
    return confusion


@given(data=st.data(), score=st.sampled_from(list(THEIRS)))
def test_they_are_torchmetrics(data, score, predictions):
    classes, predicted, target = data.draw(predictions)
    counts = counted(classes, predicted, target).counts
    ours = score(counts)
    options = {"num_classes": classes, "ignore_index": VOID}
    theirs = THEIRS[score](predicted, target, average="none", **options).double()

    keep = target != VOID
    present = [bool(((predicted == c) | (target == c))[keep].any()) for c in range(classes)]
    absent = ~torch.tensor(present)
    alone = torch.tensor([bool((target[keep] == c).all()) for c in range(classes)])
    undefined = absent | (alone & (score is specificity))
    assert torch.equal(ours.isnan(), undefined)
    torch.testing.assert_close(ours[~undefined], theirs[~undefined], rtol=0, atol=1e-6)

    if present.count(True) and not (undefined & ~absent).any():
        for average in ("macro", "micro"):
            ours = mean_score(score, counts, average, include_background=True).item()
            theirs = THEIRS[score](predicted, target, average=average, **options).item()
            assert ours == pytest.approx(theirs, abs=1e-6)


@given(data=st.data())
def test_accuracy_is_the_share_of_pixels_that_are_right(data, predictions):
    classes, predicted, target = data.draw(predictions)
    ours = accuracy(counted(classes, predicted, target).counts).item()
    keep = target != VOID
    assert ours == pytest.approx((predicted == target)[keep].double().mean().item(), nan_ok=True)


@given(data=st.data(), average=st.sampled_from(["macro", "foreground"]))
def test_means_are_over_the_classes_that_are_there(data, average, predictions):
    classes, predicted, target = data.draw(predictions)
    keep = target != VOID
    truth, guess = target[keep].numpy(), predicted[keep].numpy()
    first = 1 if average == "foreground" or classes == 2 else 0
    labels = [c for c in range(first, classes) if c in truth or c in guess]
    ours = mean_score(dice, counted(classes, predicted, target).counts, average).item()
    if labels:
        theirs = f1_score(truth, guess, labels=labels, average="macro", zero_division=0)
        assert ours == pytest.approx(theirs, abs=1e-12)
    else:
        assert math.isnan(ours)


@given(data=st.data(), include_background=st.sampled_from([True, False, None]))
def test_per_image_is_the_mean_of_the_images_scores(data, include_background, predictions):
    classes, predicted, target = data.draw(predictions)
    alone = [
        counted(classes, ours, theirs).mean(iou, include_background=include_background)
        for ours, theirs in zip(predicted, target, strict=True)
    ]
    has_pixels = (target != VOID).flatten(1).any(1).tolist()
    whole = counted(classes, predicted, target)
    for empty in ("skip", "one"):
        expected = [
            1.0 if math.isnan(value) else value
            for value, seen in zip(alone, has_pixels, strict=True)
            if not math.isnan(value) or (empty == "one" and seen)
        ]
        ours = whole.mean(iou, "per_image", include_background, empty)
        assert ours == pytest.approx(np.mean(expected) if expected else math.nan, nan_ok=True)


def test_of_two_classes_the_foreground_counts_unless_said():
    counts = torch.tensor([[50, 10], [20, 20]])
    assert mean_score(dice, counts) == mean_score(dice, counts, "micro") == dice(counts)[1]
    assert mean_score(dice, counts, include_background=True) == dice(counts).mean()
    assert mean_score(dice, counts, "micro", include_background=True) == accuracy(counts)


def test_leading_dimensions_are_carried_through():
    counts = torch.randint(1, 9, (4, 5, 3, 3))
    for score in THEIRS:
        for average in ("macro", "micro", "foreground"):
            whole = mean_score(score, counts, average)
            assert whole.shape == (4, 5)
            assert whole[2, 3] == mean_score(score, counts[2, 3], average)
    assert mean_score(dice, counts, "per_image").shape == (4,)


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match=r"average='weighted'; one of .*'macro'"):
        mean_score(dice, torch.ones(2, 2), "weighted")
    with pytest.raises(ValueError, match="empty='zero'"):
        mean_score(dice, torch.ones(2, 2), empty="zero")
