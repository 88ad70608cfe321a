"""Which metrics a Learner can be given, by which names, and which are refused."""

from functools import partial
from types import SimpleNamespace

import fastai.metrics as fastai_metrics
import pytest
import torch
import torchmetrics
import torchmetrics.classification as tm
from fastai.learner import Metric

from fastunet.errors import TrainingError
from fastunet.labels import VOID
from fastunet.metrics import DiceScore, adapt_metrics, default_metrics

REFUSED = [
    (fastai_metrics.Dice(), 3, r"Dice is for two classes.*fastunet's DiceScore\(\)"),
    (fastai_metrics.JaccardCoeff(), 3, r"JaccardCoeff is for two.*fastunet's MeanIoU\(\)"),
    (fastai_metrics.F1Score(), 3, r"f1_score does not fit a task of 3 classes.*DiceScore\(\)"),
    (fastai_metrics.accuracy_multi, 1, r"accuracy_multi does not fit.*PixelAccuracy\(\)"),
    (fastai_metrics.mse, 1, "mse does not fit"),
    (partial(fastai_metrics.top_k_accuracy, k=2), 1, "it is 1 for right and for wrong"),
    (tm.BinaryF1Score(), 3, r"BinaryF1Score .*two classes, there are 3.*Multiclass"),
    (tm.MulticlassJaccardIndex(4), 3, r"num_classes=4, there are 3.*MeanIoU\(\)"),
    (tm.MulticlassF1Score(3, average=None), 3, 'several numbers.*average="macro"'),
    (tm.MultilabelF1Score(3), 3, "does not know"),
    (torchmetrics.MeanSquaredError(), 1, "does not know what it is to be given"),
    (tm.MulticlassF1Score, 3, r"is a class.*num_classes.*MulticlassF1Score\(\.\.\.\)"),
    ("dice", 1, r"'dice' is no metric. DiceScore\(\)"),
]


@pytest.mark.parametrize(("metric", "n_out", "message"), REFUSED)
def test_what_cannot_be_right_is_refused_with_what_can(metric, n_out, message):
    with pytest.raises(TrainingError, match=message):
        adapt_metrics([metric], n_out)


def test_a_collection_becomes_a_column_each_and_columns_have_names_of_their_own():
    collection = torchmetrics.MetricCollection(
        [tm.BinaryF1Score(), tm.BinaryAccuracy()], prefix="x_"
    )
    names = [m.name for m in adapt_metrics(collection, 1)]
    assert names == ["x_binary_f1_score", "x_binary_accuracy"]
    twice = [DiceScore(), fastai_metrics.Dice(), tm.BinaryF1Score(), tm.BinaryF1Score(0.3)]
    names = [m.name for m in adapt_metrics(twice, 1)]
    assert names == ["dice", "dice_2", "binary_f1_score", "binary_f1_score_2"]


def test_ours_and_the_users_stay_what_they_are():
    class Mine(Metric):
        value = 0.5

    def logits_seen(logits, target):
        return logits.mean()

    own = [*default_metrics(), Mine()]
    assert adapt_metrics(own, 1) == own
    logits, target = torch.randn(2, 1, 4, 4), torch.full((2, 4, 4), VOID)
    (metric,) = adapt_metrics(logits_seen, 1)
    metric.reset()
    metric.accumulate(SimpleNamespace(pred=logits, yb=(target,), to_detach=lambda x: x))
    assert metric.value == logits.mean()
    assert metric.name == "logits_seen"
    again = adapt_metrics(adapt_metrics([fastai_metrics.Dice(), logits_seen], 1), 1)
    assert [m.name for m in again] == ["dice", "logits_seen"]
    assert adapt_metrics(None, 1) == []


def test_many_classes_are_no_obstacle():
    for metric in (fastai_metrics.RocAuc(), tm.MulticlassAUROC(150), fastai_metrics.DiceMulti()):
        assert adapt_metrics(metric, 150)
