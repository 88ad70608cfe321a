"""The fastai metrics, against scikit-learn."""

import math
import pickle
from types import SimpleNamespace

import fastai.vision.all as fastai_all
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, precision_score, recall_score

from fastunet import metrics
from fastunet.labels import VOID
from fastunet.metrics import (
    ClassIoU,
    Confusion,
    DiceScore,
    MeanIoU,
    PixelAccuracy,
    PixelPrecision,
    PixelRecall,
    PixelSpecificity,
    class_metrics,
    default_metrics,
)


def run(metrics, logits, target, sizes):
    for metric in metrics:
        metric.reset()
    for x, y in zip(logits.split(sizes), target.split(sizes), strict=True):
        learn = SimpleNamespace(pred=x, yb=(y,), dl=None)
        for metric in metrics:
            metric.accumulate(learn)
    return [metric.value for metric in metrics]


@given(data=st.data())
def test_they_equal_scikit_learns_however_the_data_are_batched(data, predictions, as_logits):
    classes, predicted, target = data.draw(predictions)
    cut = data.draw(st.integers(1, len(target)))
    sizes = [cut, len(target) - cut] if cut < len(target) else [cut]
    asked = [*default_metrics(), PixelPrecision(), PixelRecall()]
    dice, iou, accuracy, precision, recall = run(
        asked, as_logits(predicted, classes), target, sizes
    )

    keep = target != VOID
    truth, guess = target[keep].numpy(), predicted[keep].numpy()
    labels = [c for c in range(classes) if c in truth or c in guess]
    if classes == 2:
        labels = [c for c in labels if c == 1]
    if labels:
        options = {"labels": labels, "average": "macro", "zero_division": 0}
        assert dice == pytest.approx(f1_score(truth, guess, **options), abs=1e-12)
        assert iou == pytest.approx(jaccard_score(truth, guess, **options), abs=1e-12)
        assert precision == pytest.approx(precision_score(truth, guess, **options), abs=1e-12)
        assert recall == pytest.approx(recall_score(truth, guess, **options), abs=1e-12)
    else:
        assert all(map(math.isnan, (dice, iou, precision, recall)))
    if len(truth):
        assert accuracy == pytest.approx(accuracy_score(truth, guess), abs=1e-12)
    else:
        assert math.isnan(accuracy)


def test_background_is_counted_as_the_parameter_says(as_logits):
    predicted = torch.tensor([[[0, 0, 1, 2]]])
    target = torch.tensor([[[0, 1, 1, 2]]])
    logits = as_logits(predicted, 3)
    foreground = {"include_background": False}
    metrics = [DiceScore(), DiceScore(**foreground), MeanIoU(**foreground)]
    values = run(metrics, logits, target, [1])
    assert values == pytest.approx([(2 / 3 + 2 / 3 + 1) / 3, (2 / 3 + 1) / 2, (1 / 2 + 1) / 2])
    binary = as_logits(torch.tensor([[[0, 0, 1]]]), 2)
    truth = torch.tensor([[[0, 1, 1]]])
    values = run([DiceScore(), DiceScore(include_background=True)], binary, truth, [1])
    assert values == pytest.approx([2 / 3, (2 / 3 + 2 / 3) / 2])


def test_images_without_foreground_count_as_the_parameter_says(as_logits):
    predicted = torch.tensor([[[1, 1, 0, 0]], [[0, 0, 0, 0]]])
    target = torch.tensor([[[1, 0, 0, 0]], [[0, 0, VOID, VOID]]])
    asked = [DiceScore("per_image"), DiceScore("per_image", empty="one"), DiceScore()]
    assert run(asked, as_logits(predicted, 2), target, [1, 1]) == pytest.approx(
        [2 / 3, (2 / 3 + 1) / 2, 2 / 3]
    )


def test_sharing_a_count_or_not_gives_the_same_in_any_order():
    kinds = [DiceScore, MeanIoU, PixelAccuracy, PixelPrecision, PixelRecall, PixelSpecificity]
    logits, target = torch.randn(4, 3, 8, 8), torch.randint(0, 3, (4, 8, 8))
    alone = run([kind() for kind in kinds], logits, target, [2, 2])
    for order in (kinds, kinds[::-1]):
        confusion = Confusion()
        shared = [kind(confusion=confusion) for kind in order]
        values = dict(zip(order, run(shared, logits, target, [2, 2]), strict=True))
        assert [values[kind] for kind in kinds] == alone
    assert run(default_metrics(), logits, target, [2, 2]) == alone[:3]


def test_a_metric_per_image_makes_the_shared_count_keep_the_images():
    confusion = Confusion()
    logits, target = torch.randn(3, 1, 8, 8), torch.randint(0, 2, (3, 8, 8))
    asked = [*default_metrics(confusion), MeanIoU("per_image", confusion=confusion)]
    run(asked, logits, target, [2, 1])
    assert len(confusion.image_counts) == 3


def test_each_class_can_have_a_column():
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    columns = class_metrics(["sky", "road", "car"])
    assert [column.name for column in columns] == ["iou_sky", "iou_road", "iou_car"]
    (mean,) = run([MeanIoU()], logits, target, [2])
    assert sum(run(columns, logits, target, [2])) / 3 == pytest.approx(mean)
    assert ClassIoU(2).name == "iou_2"


def test_of_deep_supervision_the_finest_level_counts():
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    asked = default_metrics()
    for metric in asked:
        metric.accumulate(SimpleNamespace(pred=[logits, -logits], yb=(target,), dl=None))
    assert [metric.value for metric in asked] == run(default_metrics(), logits, target, [2])


def test_a_name_says_another_reduction_than_the_usual():
    names = [m.name for m in default_metrics()]
    assert names == ["dice", "mean_iou", "pixel_accuracy"]
    assert DiceScore("per_image").name == "dice_per_image"
    assert MeanIoU("foreground").name == "mean_iou_foreground"
    assert PixelRecall("micro").name == "pixel_recall_micro"


def test_an_unknown_reduction_is_refused_when_it_is_asked_for():
    with pytest.raises(ValueError, match="average='weighted'"):
        DiceScore("weighted")


def test_a_second_epoch_starts_from_nothing():
    asked = [*default_metrics(), DiceScore("per_image")]
    logits, target = torch.randn(2, 1, 8, 8), torch.randint(0, 2, (2, 8, 8))
    assert run(asked, logits, target, [2]) == run(asked, logits, target, [2])


def test_nothing_counted_is_nan():
    asked = [*default_metrics(), DiceScore("per_image"), PixelSpecificity("micro")]
    assert all(math.isnan(metric.value) for metric in asked)


def test_a_metric_that_counted_can_be_exported():
    metric, logits = DiceScore(), torch.randn(2, 1, 8, 8)
    (value,) = run([metric], logits, torch.ones(2, 8, 8), [2])
    assert pickle.loads(pickle.dumps(metric)).value == value


def test_no_name_is_one_of_fastais():
    assert not set(metrics.__all__) & set(vars(fastai_all))
    for name in metrics.__all__:
        assert getattr(metrics, name) is not None
