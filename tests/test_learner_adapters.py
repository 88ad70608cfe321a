"""`segmentation_learner` with losses, metrics and networks that are not ours."""

import math

import cv2
import fastai.losses as fastai_losses
import fastai.metrics as fastai_metrics
import matplotlib.pyplot as plt
import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
import torchmetrics.classification as tm
from fastai.callback.core import Callback
from fastai.torch_core import set_seed
from torch import nn

from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import ArchitectureError, TrainingError
from fastunet.labels import VOID
from fastunet.learner import segmentation_learner
from fastunet.losses import AdaptedLoss, CombinedLoss

TASKS = {"binary": (0, 255), "multiclass": (0, 1, 2)}
LOSSES = {
    "fastai CE": lambda: fastai_losses.CrossEntropyLossFlat(axis=1),
    "fastai BCE": fastai_losses.BCEWithLogitsLossFlat,
    "fastai Dice": lambda: fastai_losses.DiceLoss(reduction="mean"),
    "torch CE": nn.CrossEntropyLoss,
    "smp Dice": lambda: smp.losses.DiceLoss("multiclass"),
    "lambda": lambda: lambda logits, truth: F.binary_cross_entropy_with_logits(logits, truth),
    "the class": lambda: CombinedLoss,
}


@pytest.fixture(params=["binary", "binary, void", "multiclass", "multiclass, void"])
def dls(request, write_pairs, in_tmp):
    task, _, void = request.param.partition(", ")
    root = write_pairs(8, TASKS[task], size=(32, 32))
    if void:
        for file in (root / "masks").iterdir():
            mask = cv2.imread(str(file), 0)
            mask[:8] = 77
            cv2.imwrite(str(file), mask)
    set_seed(0)
    options = {"void": [77]} if void else {}
    return ImageMaskDataLoaders.from_folder(
        root, size=32, bs=4, device="cpu", progress=False, augment="free", **options
    )


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES.keys())
def test_any_loss_trains_predicts_and_shows(dls, make):
    targets = set()

    class Seen(Callback):
        def before_batch(self):
            targets.update(self.y.unique().tolist())

    learn = segmentation_learner(dls, width=4, depth=2, loss_func=make(), precision="fp32")
    learn.create_mbar, learn.logger = False, lambda *_: None
    learn.fit(2, 1e-2, cbs=Seen())
    assert VOID in targets  # made by the augmentation, where the masks hold none
    assert learn.recorder.losses[-1] > 0
    channels = 1 if dls.task == "binary" else 3
    probs, _, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
    assert probs.shape[1:] == (channels, 32, 32)
    assert decoded.shape[1:] == (32, 32)
    assert losses.shape == (len(dls.valid_ds),)
    assert losses.isfinite().all()
    _, indices, _ = learn.predict(dls.pairs["valid"][0])
    assert set(indices.unique().tolist()) <= {0, 1, 2}
    learn.show_results(max_n=1)
    plt.close("all")


def test_a_loss_that_does_not_fit_is_refused_before_the_first_batch(dls):
    with pytest.raises(TrainingError, match=r"MSELoss .*Use CombinedLoss\(\)"):
        segmentation_learner(dls, width=4, depth=2, loss_func=nn.MSELoss())


def test_others_in_a_sum_are_columns_too(dls):
    loss = CombinedLoss(dice=0, others={"soft": (1.0, nn.CrossEntropyLoss(label_smoothing=0.1))})
    learn = segmentation_learner(dls, width=4, depth=2, loss_func=loss)
    assert isinstance(loss.losses["soft"], AdaptedLoss)
    learn.fit(1)
    assert learn.recorder.metric_names[-3:-1] == ["ce_loss", "soft_loss"]
    assert all(map(math.isfinite, learn.recorder.values[-1]))


def test_fastais_and_torchmetrics_columns_are_those_of_ours(dls):
    if dls.task == "binary":
        theirs = [fastai_metrics.Dice(), fastai_metrics.JaccardCoeff(), tm.BinaryF1Score()]
    else:
        theirs = [
            fastai_metrics.DiceMulti(),
            fastai_metrics.JaccardCoeffMulti(),
            tm.MulticlassF1Score(3),
        ]
    set_seed(0)
    ours = segmentation_learner(dls, width=4, depth=2)
    ours.fit(2, 1e-2)
    learn = segmentation_learner(
        dls, width=4, depth=2, metrics=[*theirs, fastai_metrics.accuracy, lambda p, t: p.mean()]
    )
    learn.model.load_state_dict(ours.model.state_dict())
    _, dice, iou, accuracy, *_ = ours.validate()
    _, dice_2, iou_2, f1, accuracy_2, mean = learn.validate()
    assert [dice_2, f1, iou_2, accuracy_2] == pytest.approx([dice, dice, iou, accuracy], abs=1e-6)
    assert math.isfinite(mean)


def test_the_best_epoch_is_found_by_fastais_dice(write_pairs, in_tmp):
    set_seed(0)
    dls = ImageMaskDataLoaders.from_folder(write_pairs(8), size=32, bs=4, device="cpu")
    learn = segmentation_learner(dls, width=8, depth=2, metrics=fastai_metrics.Dice())
    learn.fit_one_cycle(8, 1e-2)
    seen = [row[2] for row in learn.recorder.values]
    assert len(set(seen)) > 2
    assert learn.validate()[1] == pytest.approx(max(v for v in seen if v == v))


def test_a_network_of_the_wrong_kind_is_refused_at_once(dls):
    n_out = dls.codec.n_out
    if n_out == 1:
        activated = smp.Unet("resnet18", encoder_weights=None, classes=1, activation="sigmoid")
        with pytest.raises(ArchitectureError, match="ends in a sigmoid"):
            segmentation_learner(dls, activated)
    with pytest.raises(ArchitectureError, match="5 channels"):
        segmentation_learner(dls, nn.Conv2d(3, 5, 1))
    with pytest.raises(ArchitectureError, match="images of 1 channel; these have 3"):
        segmentation_learner(dls, nn.Conv2d(1, n_out, 1))


def test_a_fit_that_stops_leaves_a_learner_that_works(dls):
    learn = segmentation_learner(dls, width=4, depth=2)
    with pytest.raises(TrainingError, match="learning rate"):
        learn.fit_one_cycle(2, 1e25)
    learn = segmentation_learner(dls, width=4, depth=2)
    learn.fit_one_cycle(3, 1e-3, start_epoch=1)
    assert torch.isfinite(learn.get_preds()[0]).all()


@pytest.mark.parametrize("first", ["fit", "validate", "get_preds", "show_results"])
def test_a_loss_that_is_set_later_is_adapted_too(write_pairs, in_tmp, first):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(8), size=32, bs=4, device="cpu")
    learn = segmentation_learner(dls, width=4, depth=2)
    learn.loss_func = nn.CrossEntropyLoss()  # on one channel it would be 0
    with learn.no_bar(), learn.no_logging():
        getattr(learn, first)(*([1] if first == "fit" else []))
        plt.close("all")
        assert learn.validate()[0] > 0.1
        assert learn.get_preds(with_decoded=True)[2].shape[1:] == (32, 32)
