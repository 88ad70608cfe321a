"""Losses of other libraries: the right value without void, or a refusal before training."""

import copy
import pickle
import warnings

import fastai.losses as fastai_losses
import monai.losses as monai
import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from torch import nn

from fastunet.errors import TrainingError
from fastunet.labels import VOID
from fastunet.losses import AdaptedLoss, CombinedLoss, PixelCrossEntropyLoss, adapt_loss

BOTH = {
    "torch CE": nn.CrossEntropyLoss,
    "torch CE, smoothed": lambda: nn.CrossEntropyLoss(label_smoothing=0.2),
    "torch CE, our void": lambda: nn.CrossEntropyLoss(ignore_index=VOID),
    "torch CE, function": lambda: F.cross_entropy,
    "torch BCE": nn.BCEWithLogitsLoss,
    "torch BCE, not reduced": lambda: nn.BCEWithLogitsLoss(reduction="none"),
    "torch BCE, function": lambda: F.binary_cross_entropy_with_logits,
    "fastai CE": lambda: fastai_losses.CrossEntropyLossFlat(axis=1),
    "fastai CE, axis as it is": fastai_losses.CrossEntropyLossFlat,
    "fastai BCE": fastai_losses.BCEWithLogitsLossFlat,
    "fastai focal": fastai_losses.FocalLoss,
    "fastai focal, flat": lambda: fastai_losses.FocalLossFlat(axis=1),
    "fastai smoothing": lambda: fastai_losses.LabelSmoothingCrossEntropyFlat(axis=1),
    "fastai Dice": lambda: fastai_losses.DiceLoss(reduction="mean"),
    "smp soft CE": lambda: smp.SoftCrossEntropyLoss(smooth_factor=0.1),
    "smp soft BCE": smp.SoftBCEWithLogitsLoss,
    "MONAI Dice": lambda: monai.DiceLoss(softmax=True, to_onehot_y=True),
    "lambda": lambda: lambda logits, truth: F.binary_cross_entropy_with_logits(logits, truth),
    **{
        f"smp {kind} {mode}": lambda kind=kind, mode=mode: getattr(smp, kind)(mode)
        for kind in ("DiceLoss", "JaccardLoss", "TverskyLoss", "FocalLoss", "LovaszLoss")
        for mode in ("binary", "multiclass", "multilabel")
    },
}
every_loss = pytest.mark.parametrize("make", BOTH.values(), ids=BOTH.keys())
both_tasks = pytest.mark.parametrize("channels", [1, 3])


@every_loss
@both_tasks
def test_void_has_no_part_in_a_foreign_loss(make, channels, batch):
    logits, target = batch(channels)
    loss = adapt_loss(make(), channels)
    void = (target == VOID)[:, None].expand_as(logits)
    logits.requires_grad_()
    value = loss(logits, target)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.any()
    assert not logits.grad[void].any()
    other = torch.where(void, -5 * logits.detach(), logits.detach())
    torch.testing.assert_close(loss(other, target), value.detach())


@every_loss
@both_tasks
def test_a_batch_of_void_costs_nothing_and_a_better_prediction_less(make, channels, batch):
    logits, target = batch(channels)
    loss = adapt_loss(make(), channels)
    nothing = loss(logits.requires_grad_(), torch.full_like(target, VOID))
    nothing.backward()
    assert nothing == 0
    assert not logits.grad.any()
    truth = target.masked_fill(target == VOID, 0)
    right = truth[:, None] if channels == 1 else F.one_hot(truth, channels).movedim(-1, 1)
    right = 4 * (right * 2.0 - 1)
    assert loss(right, target) < loss(logits, target) < loss(-right, target)


@pytest.mark.parametrize("void", [0.0, 0.2])
def test_the_values_are_those_of_the_loss_on_the_pixels_that_count(batch, void):
    logits, target = batch(3, void=void)
    counts = target != VOID
    pixels, truth = logits.movedim(1, -1)[counts], target[counts]
    one_hot = F.one_hot(truth, 3).float()
    weight = torch.tensor([1.0, 2.0, 5.0])
    bce = F.binary_cross_entropy_with_logits(pixels, one_hot)
    for loss, expected in [
        (nn.CrossEntropyLoss(), F.cross_entropy(pixels, truth)),
        (nn.CrossEntropyLoss(weight), F.cross_entropy(pixels, truth, weight)),
        (fastai_losses.CrossEntropyLossFlat(weight=weight), F.cross_entropy(pixels, truth, weight)),
        (fastai_losses.BCEWithLogitsLossFlat(), bce),
    ]:
        torch.testing.assert_close(adapt_loss(loss, 3)(logits, target), expected)


@pytest.mark.parametrize("void", [0.0, 0.2])
def test_for_two_classes_both_kinds_of_cross_entropy_are_the_same(batch, void):
    logits, target = batch(1, void=void)
    counts = target != VOID
    scores, truth = logits[:, 0][counts], target[counts]
    expected = F.binary_cross_entropy_with_logits(scores, truth.float())
    for loss in (nn.BCEWithLogitsLoss(), nn.CrossEntropyLoss(), fastai_losses.FocalLoss(gamma=0)):
        torch.testing.assert_close(adapt_loss(loss, 1)(logits, target), expected)
    weighted = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0]))
    both = F.binary_cross_entropy_with_logits(scores, truth.float(), pos_weight=torch.tensor([3.0]))
    torch.testing.assert_close(adapt_loss(weighted, 1)(logits, target), both)


def test_a_class_is_made_where_it_needs_no_arguments():
    assert isinstance(adapt_loss(CombinedLoss, 1), CombinedLoss)
    assert isinstance(adapt_loss(nn.CrossEntropyLoss, 3), AdaptedLoss)
    with pytest.raises(TrainingError, match=r"DiceLoss is a class.*mode.*DiceLoss\(\.\.\.\)"):
        adapt_loss(smp.DiceLoss, 3)
    with pytest.raises(TrainingError, match="loss_func=3: a loss was expected"):
        adapt_loss(3, 3)


def test_ours_stay_what_they_are():
    loss = PixelCrossEntropyLoss()
    assert adapt_loss(loss, 3) is loss


def test_a_sum_becomes_a_mean_and_is_said(batch):
    logits, target = batch(3)
    with pytest.warns(UserWarning, match='reduction="sum"'):
        loss = adapt_loss(nn.CrossEntropyLoss(reduction="sum"), 3)
    torch.testing.assert_close(loss(logits, target), PixelCrossEntropyLoss()(logits, target))


def test_a_loss_that_leaves_void_alone_sees_the_whole_picture(batch):
    shapes = []

    class Seeing(nn.CrossEntropyLoss):
        def forward(self, logits, truth):
            shapes.append(tuple(logits.shape))
            return super().forward(logits, truth)

    logits, target = batch(3)
    adapt_loss(Seeing(ignore_index=VOID), 3)(logits, target)
    assert shapes[-1] == logits.shape
    adapt_loss(Seeing(), 3)(logits, target)
    assert shapes[-1] == (1, 3, int((target != VOID).sum()), 1)


@both_tasks
def test_reduction_levels_and_precision_are_as_with_ours(channels, batch):
    logits, target = batch(channels)
    adapted, ours = adapt_loss(nn.CrossEntropyLoss(), channels), PixelCrossEntropyLoss()
    for reduction in ("mean", "sum", "none"):
        adapted.reduction = ours.reduction = reduction
        torch.testing.assert_close(adapted(logits, target), ours(logits, target))
        levels = [logits, -logits]
        torch.testing.assert_close(adapted(levels, target), ours(levels, target))
    with torch.autocast("cpu", torch.bfloat16):
        assert adapted(logits.bfloat16(), target).dtype == torch.float32
    probs = adapted.activation(logits)
    assert adapted.decodes(probs).shape == target.shape


def test_it_survives_pickle_and_deepcopy_and_keeps_what_it_learns(batch):
    class Learning(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, logits, truth):
            return F.cross_entropy(logits * self.scale, truth)

    logits, target = batch(3)
    loss = adapt_loss(Learning(), 3)
    assert [name for name, _ in loss.named_parameters()] == ["loss.scale"]
    for foreign in (nn.CrossEntropyLoss(), fastai_losses.DiceLoss(reduction="mean")):
        loss = adapt_loss(foreign, 3)
        expected = loss(logits, target)
        assert copy.deepcopy(loss)(logits, target) == expected
        assert pickle.loads(pickle.dumps(loss))(logits, target) == expected


def test_plain_weights_move_with_the_loss():
    loss = adapt_loss(fastai_losses.FocalLossFlat(axis=1, weight=torch.ones(3)), 3)
    loss.to("meta")
    assert loss.loss.weight.device.type == "meta"


def test_in_a_sum_a_foreign_loss_is_adapted_too(batch):
    logits, target = batch(1)
    loss = CombinedLoss(dice=0, others={"bce": (2.0, nn.BCEWithLogitsLoss())})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = adapt_loss(loss, 1)(logits, target)
    torch.testing.assert_close(value, 3 * PixelCrossEntropyLoss()(logits, target))
    with pytest.raises(TrainingError, match="MSELoss"):
        adapt_loss(CombinedLoss(others={"mse": (1.0, nn.MSELoss())}), 1)
