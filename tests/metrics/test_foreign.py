"""Metrics of fastai and torchmetrics on both tasks, against scikit-learn."""

import math
import pickle
from functools import partial
from types import SimpleNamespace

import fastai.metrics as fastai_metrics
import pytest
import torch
import torchmetrics
import torchmetrics.classification as tm
import torchmetrics.segmentation as tms
from fastai.learner import AvgMetric
from scipy.spatial.distance import cdist
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.labels import VOID
from fastunet.learner import segmentation_learner
from fastunet.metrics import DiceScore, adapt_metrics

macro = {"average": "macro", "zero_division": 0}


@pytest.fixture(params=[0.0, 0.3, 0.9], ids=["no void", "void", "much void"])
def data(request):
    """Logits and masks of two batches: one channel or three; void in some, nothing else in one."""

    def make(channels):
        generator = torch.Generator().manual_seed(0)
        target = torch.randint(0, max(2, channels), (5, 8, 8), generator=generator)
        logits = torch.randn(5, channels, 8, 8, generator=generator)
        truth = target[:, None] == torch.arange(channels).reshape(1, -1, 1, 1)
        logits += torch.where(target[:, None] == 1 if channels == 1 else truth, 0.7, -0.7)
        if request.param:
            target[torch.rand(target.shape, generator=generator) < request.param] = VOID
            target[2] = VOID
        return logits, target

    return make


def value(metric, logits, target, n_out):
    (adapted,) = adapt_metrics([metric], n_out)
    adapted.reset()
    # the second batch is all void where there is any
    for part in (slice(0, 2), slice(2, 3), slice(3, 5)):
        batch = SimpleNamespace(
            pred=logits[part], yb=(target[part],), dl=None, to_detach=lambda x: x.detach().cpu()
        )
        adapted.accumulate(batch)
    return adapted.value


def pixels(logits, target):
    """Truth, predictions and probabilities of the pixels that count, as arrays."""
    counts = target != VOID
    both = torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits
    probs = both.movedim(1, -1)[counts].softmax(1)
    return target[counts].numpy(), probs.argmax(1).numpy(), probs.numpy()


BINARY = {
    "Dice": (fastai_metrics.Dice(), lambda t, p, s: f1_score(t, p)),
    "Dice, the class": (fastai_metrics.Dice, lambda t, p, s: f1_score(t, p)),
    "DiceMulti": (fastai_metrics.DiceMulti(), lambda t, p, s: f1_score(t, p, **macro)),
    "JaccardCoeff": (fastai_metrics.JaccardCoeff(), lambda t, p, s: jaccard_score(t, p)),
    "JaccardCoeffMulti": (
        fastai_metrics.JaccardCoeffMulti(),
        lambda t, p, s: jaccard_score(t, p, **macro),
    ),
    "foreground_acc": (fastai_metrics.foreground_acc, lambda t, p, s: recall_score(t, p)),
    "accuracy": (fastai_metrics.accuracy, lambda t, p, s: accuracy_score(t, p)),
    "accuracy of axis 1": (
        AvgMetric(partial(fastai_metrics.accuracy, axis=1)),
        lambda t, p, s: accuracy_score(t, p),
    ),
    "error_rate": (fastai_metrics.error_rate, lambda t, p, s: 1 - accuracy_score(t, p)),
    "F1Score": (fastai_metrics.F1Score(), lambda t, p, s: f1_score(t, p)),
    "CohenKappa": (fastai_metrics.CohenKappa(), lambda t, p, s: cohen_kappa_score(t, p)),
    "RocAucBinary": (fastai_metrics.RocAucBinary(), lambda t, p, s: roc_auc_score(t, s[:, 1])),
    "BinaryF1Score": (tm.BinaryF1Score(), lambda t, p, s: f1_score(t, p)),
    "BinaryJaccardIndex": (tm.BinaryJaccardIndex(), lambda t, p, s: jaccard_score(t, p)),
    "BinaryPrecision": (tm.BinaryPrecision, lambda t, p, s: precision_score(t, p)),
    "BinaryAUROC": (tm.BinaryAUROC(), lambda t, p, s: roc_auc_score(t, s[:, 1])),
    "F1 by task": (torchmetrics.F1Score(task="binary"), lambda t, p, s: f1_score(t, p)),
    "of two classes": (
        tm.MulticlassF1Score(num_classes=2, average="macro"),
        lambda t, p, s: f1_score(t, p, **macro),
    ),
    "Dice of images": (
        tms.DiceScore(2, False, "macro", input_format="index", aggregation_level="global"),
        lambda t, p, s: f1_score(t, p),
    ),
}
MULTICLASS = {
    "DiceMulti": (fastai_metrics.DiceMulti(), lambda t, p, s: f1_score(t, p, **macro)),
    "JaccardCoeffMulti": (
        fastai_metrics.JaccardCoeffMulti(),
        lambda t, p, s: jaccard_score(t, p, **macro),
    ),
    "foreground_acc": (
        fastai_metrics.foreground_acc,
        lambda t, p, s: accuracy_score(t[t > 0], p[t > 0]),
    ),
    "accuracy": (fastai_metrics.accuracy, lambda t, p, s: accuracy_score(t, p)),
    "F1Score": (
        fastai_metrics.F1Score(average="macro"),
        lambda t, p, s: f1_score(t, p, average="macro"),
    ),
    "RocAuc": (fastai_metrics.RocAuc(), lambda t, p, s: roc_auc_score(t, s, multi_class="ovr")),
    "MulticlassF1Score": (tm.MulticlassF1Score(3), lambda t, p, s: f1_score(t, p, **macro)),
    "MulticlassAUROC": (
        tm.MulticlassAUROC(3),
        lambda t, p, s: roc_auc_score(t, s, multi_class="ovr"),
    ),
    "IoU by task": (
        torchmetrics.JaccardIndex(task="multiclass", num_classes=3),
        lambda t, p, s: jaccard_score(t, p, **macro),
    ),
    **{
        f"Dice of images, {form}": (
            tms.DiceScore(3, True, "macro", input_format=form, aggregation_level="global"),
            lambda t, p, s: f1_score(t, p, **macro),
        )
        for form in ("index", "one-hot", "mixed")
    },
}


@pytest.mark.parametrize(("metric", "expected"), BINARY.values(), ids=BINARY.keys())
def test_on_two_classes_each_gives_what_scikit_learn_gives(data, metric, expected):
    logits, target = data(1)
    reference = expected(*pixels(logits, target))
    assert value(metric, logits, target, 1) == pytest.approx(reference, abs=1e-6)


@pytest.mark.parametrize(("metric", "expected"), MULTICLASS.values(), ids=MULTICLASS.keys())
def test_on_three_classes_each_gives_what_scikit_learn_gives(data, metric, expected):
    logits, target = data(3)
    reference = expected(*pixels(logits, target))
    assert value(metric, logits, target, 3) == pytest.approx(reference, abs=1e-6)


@pytest.mark.parametrize("form", ["index", "one-hot"])
def test_mean_iou_of_images_is_that_of_each_image(data, form):
    logits, target = data(3)
    each = []
    for x, y in zip(logits.split(1), target.split(1), strict=True):
        truth, guess, _ = pixels(x, y)
        if len(truth):
            labels = sorted({*truth, *guess})
            each += list(jaccard_score(truth, guess, labels=labels, average=None))
    metric = tms.MeanIoU(3, input_format=form)
    assert value(metric, logits, target, 3) == pytest.approx(sum(each) / len(each), abs=1e-6)


def test_a_distance_of_images_takes_void_for_background():
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[0, 2:4, 2:4] = 1
    predicted = target.clone()
    predicted[0, 6, 2] = 1
    logits = (predicted[:, None] - 0.5) * 8
    metric = tms.HausdorffDistance(num_classes=2, include_background=False, input_format="index")
    points = [torch.nonzero(m[0]).numpy() for m in (predicted, target)]
    farthest = cdist(*points).min(axis=1).max()
    assert value_of_one(metric, logits, target) == pytest.approx(farthest)
    target[0, 6, 2] = VOID
    assert value_of_one(metric, logits, target) == 0


def value_of_one(metric, logits, target):
    (adapted,) = adapt_metrics(metric, 1)
    adapted.reset()
    adapted.accumulate(SimpleNamespace(pred=logits, yb=(target,), dl=None))
    return adapted.value


def test_nothing_counted_is_nan_and_what_is_better_is_known():
    logits, target = torch.randn(1, 1, 4, 4), torch.full((1, 4, 4), VOID)
    for metric in (fastai_metrics.Dice(), fastai_metrics.accuracy, tm.BinaryF1Score()):
        assert math.isnan(value_of_one(metric, logits, target))
    good, bad = adapt_metrics([tm.BinaryF1Score(), tm.BinaryCalibrationError()], 1)
    assert good.higher_is_better
    assert not bad.higher_is_better


def test_an_adapted_metric_can_be_exported():
    logits, target = torch.randn(1, 1, 4, 4), torch.randint(0, 2, (1, 4, 4))
    for metric in (fastai_metrics.Dice(), fastai_metrics.accuracy, tm.BinaryF1Score()):
        (adapted,) = adapt_metrics(metric, 1)
        adapted.reset()
        adapted.accumulate(SimpleNamespace(pred=logits, yb=(target,), dl=None))
        assert pickle.loads(pickle.dumps(adapted)).value == adapted.value


def test_metrics_of_others_decide_by_the_learners_threshold(write_pairs, in_tmp):
    torch.manual_seed(0)
    dls = ImageMaskDataLoaders.from_folder(write_pairs(8), size=32, bs=4, device="cpu")
    metrics = [DiceScore(), fastai_metrics.Dice(), tm.BinaryF1Score(), tm.BinaryAUROC()]
    learn = segmentation_learner(dls, width=4, depth=2, metrics=metrics)
    scores = []
    between = float(learn.get_preds()[0].median()) + 1e-4  # not the probability of any flat region
    for threshold in (0.5, between):
        learn.threshold = threshold
        _, ours, theirs, f1, area = learn.validate()
        assert theirs == pytest.approx(ours, abs=1e-3)
        assert f1 == pytest.approx(ours, abs=1e-3)
        scores.append((ours, area))
    assert scores[0][0] != pytest.approx(scores[1][0], abs=0.05)
    assert scores[0][1] == pytest.approx(scores[1][1])  # no threshold has a part in it
