"""Metrics as one streaming confusion count, against scikit-learn."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score

from fastunet.data.masks import VOID
from fastunet.metrics import Confusion, DiceScore, MeanIoU, PixelAccuracy, default_metrics


@st.composite
def predictions(draw):
    """Logits and targets with void, absent classes and all."""
    classes = draw(st.integers(2, 5))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    present = rng.choice(classes, rng.integers(1, classes + 1), replace=False)
    n = draw(st.integers(1, 6))
    target = rng.choice([*present, VOID], (n, 4, 5))
    predicted = rng.choice(rng.choice(classes, 2), (n, 4, 5))
    return classes, torch.from_numpy(predicted), torch.from_numpy(target)


def as_logits(predicted, classes):
    if classes == 2:
        return (predicted[:, None].float() - 0.5) * 8
    return torch.nn.functional.one_hot(predicted, classes).movedim(-1, 1).float()


def run(metrics, logits, target, sizes):
    for metric in metrics:
        metric.reset()
    for x, y in zip(logits.split(sizes), target.split(sizes), strict=True):
        learn = SimpleNamespace(pred=x, yb=(y,))
        for metric in metrics:
            metric.accumulate(learn)
    return [metric.value for metric in metrics]


@given(predictions(), st.data())
def test_they_equal_scikit_learns_however_the_data_are_batched(case, data):
    classes, predicted, target = case
    cut = data.draw(st.integers(1, len(target)))
    sizes = [cut, len(target) - cut] if cut < len(target) else [cut]
    dice, iou, accuracy = run(default_metrics(), as_logits(predicted, classes), target, sizes)

    keep = target != VOID
    truth, guess = target[keep].numpy(), predicted[keep].numpy()
    labels = [c for c in range(classes) if c in truth or c in guess]
    if classes == 2:
        labels = [c for c in labels if c == 1]
    if not labels:
        assert math.isnan(dice)
        assert math.isnan(iou)
    else:
        options = {"labels": labels, "average": "macro", "zero_division": 0}
        assert dice == pytest.approx(f1_score(truth, guess, **options), abs=1e-12)
        assert iou == pytest.approx(jaccard_score(truth, guess, **options), abs=1e-12)
    if len(truth):
        assert accuracy == pytest.approx(accuracy_score(truth, guess), abs=1e-12)
    else:
        assert math.isnan(accuracy)


@given(predictions())
def test_the_counts_are_scikit_learns_confusion_matrix(case):
    classes, predicted, target = case
    confusion = Confusion()
    confusion.update(predicted, target, classes)
    keep = target != VOID
    if keep.any():
        expected = confusion_matrix(target[keep], predicted[keep], labels=range(classes))
        np.testing.assert_array_equal(confusion.counts.numpy(), expected)
    else:
        assert not confusion.counts.any()


def test_background_is_counted_as_the_parameter_says():
    predicted = torch.tensor([[[0, 0, 1, 2]]])
    target = torch.tensor([[[0, 1, 1, 2]]])
    logits = as_logits(predicted, 3)
    values = run(
        [DiceScore(), DiceScore(include_background=False), MeanIoU(include_background=False)],
        logits, target, [1],
    )  # fmt: skip
    assert values == pytest.approx([(2 / 3 + 2 / 3 + 1) / 3, (2 / 3 + 1) / 2, (1 / 2 + 1) / 2])
    binary = as_logits(torch.tensor([[[0, 0, 1]]]), 2)
    truth = torch.tensor([[[0, 1, 1]]])
    values = run([DiceScore(), DiceScore(include_background=True)], binary, truth, [1])
    assert values == pytest.approx([2 / 3, (2 / 3 + 2 / 3) / 2])


def test_sharing_a_count_or_not_gives_the_same_in_any_order():
    logits, target = torch.randn(4, 3, 8, 8), torch.randint(0, 3, (4, 8, 8))
    shared = run(default_metrics(), logits, target, [2, 2])
    alone = run([DiceScore(), MeanIoU(), PixelAccuracy()], logits, target, [2, 2])
    assert shared == alone
    assert run(default_metrics()[::-1], logits, target, [2, 2]) == shared[::-1]


def test_a_second_epoch_starts_from_nothing():
    metrics = default_metrics()
    logits, target = torch.randn(2, 1, 8, 8), torch.randint(0, 2, (2, 8, 8))
    assert run(metrics, logits, target, [2]) == run(metrics, logits, target, [2])


def test_nothing_counted_is_nan():
    assert all(math.isnan(metric.value) for metric in default_metrics())
