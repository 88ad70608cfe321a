"""Dice, generalised Dice and Tversky against MONAI, segmentation_models_pytorch and by hand."""

import monai.losses as monai
import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fastunet.errors import OptionError
from fastunet.labels import VOID
from fastunet.logits import activate
from fastunet.losses import FocalTverskyLoss, GeneralisedDiceLoss, SoftDiceLoss, TverskyLoss

seeds = st.integers(0, 1000)
channels = st.sampled_from([1, 2, 5])
close = dict(rtol=1e-6, atol=1e-6)


def by_hand(logits, target, score):
    """1 - score(overlap, predicted, true) of each class that occurs, over the pixels that count."""
    probs = activate(logits).movedim(1, -1)[target != VOID]  # (pixels, C)
    truth = target[target != VOID]
    indices = [1] if logits.shape[1] == 1 else range(logits.shape[1])
    classes = [(probs[:, i], truth == c) for i, c in enumerate(indices)]
    each = [1 - score((p * t).sum(), p.sum(), t.sum()) for p, t in classes if t.any()]
    return sum(each) / len(each) if each else torch.tensor(0.0)


def one_hot(target, channels):
    classes = target[:, None] if channels == 1 else F.one_hot(target, channels).movedim(-1, 1)
    return classes.float()


@given(seeds, channels, st.sampled_from([0.2, 0.95]))
def test_dice_is_that_of_the_pixels_that_count(batch, seed, channels, void):
    logits, target = batch(channels, seed, void)
    expected = by_hand(logits, target, lambda i, p, t: (2 * i + 1) / (p + t + 1))
    torch.testing.assert_close(SoftDiceLoss()(logits, target), expected, **close)


@given(seeds, channels, st.sampled_from([0.2, 0.95]))
def test_tversky_weighs_false_positives_by_alpha_and_false_negatives_by_beta(
    batch, seed, channels, void
):
    logits, target = batch(channels, seed, void)
    expected = by_hand(
        logits, target, lambda i, p, t: (i + 1) / (i + 0.2 * (p - i) + 0.6 * (t - i) + 1)
    )
    torch.testing.assert_close(TverskyLoss(0.2, 0.6)(logits, target), expected, **close)


@given(seeds, st.sampled_from([0.0, 1.0, 10.0]))
def test_dice_and_tversky_are_smps_where_all_classes_occur(batch, seed, smooth):
    for channels, mode in ((1, "binary"), (3, "multiclass")):
        logits, target = batch(channels, seed)
        theirs = smp.DiceLoss(mode, smooth=smooth / 2, ignore_index=VOID)(logits, target)
        torch.testing.assert_close(SoftDiceLoss(smooth)(logits, target), theirs, **close)
        options = dict(alpha=0.3, beta=0.7, smooth=smooth)
        theirs = smp.TverskyLoss(mode, ignore_index=VOID, **options)(logits, target)
        torch.testing.assert_close(TverskyLoss(**options)(logits, target), theirs, **close)


def test_binary_focal_tversky_is_smps(batch):
    logits, target = batch(1)
    theirs = smp.TverskyLoss(
        "binary", alpha=0.3, beta=0.7, smooth=1.0, gamma=0.75, ignore_index=VOID
    )
    ours = FocalTverskyLoss(gamma=4 / 3)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target), **close)


def test_focal_tversky_is_the_power_of_each_class(batch):
    logits, target = batch(4)
    expected = by_hand(
        logits,
        target,
        lambda i, p, t: 1 - (1 - (i + 1) / (i + 0.3 * (p - i) + 0.7 * (t - i) + 1)) ** 0.5,
    )
    torch.testing.assert_close(FocalTverskyLoss(gamma=2)(logits, target), expected, **close)
    plain, focal = TverskyLoss(), FocalTverskyLoss(gamma=1)
    torch.testing.assert_close(focal(logits, target), plain(logits, target), **close)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("per_image", [False, True])
def test_squared_dice_is_monais(batch, channels, per_image):
    logits, target = batch(channels, void=0)
    activation = {"sigmoid": channels == 1, "softmax": channels > 1}
    smooth = {"smooth_nr": 1.0, "smooth_dr": 1.0}
    dice = monai.DiceLoss(**activation, **smooth, squared_pred=True, batch=not per_image)
    theirs = dice(logits, one_hot(target, channels))
    ours = SoftDiceLoss(squared=True, per_image=per_image)(logits, target)
    torch.testing.assert_close(ours, theirs, **close)


@pytest.mark.parametrize("per_image", [False, True])
def test_generalised_dice_is_monais_over_the_pixels_that_count(batch, per_image):
    logits, target = batch(4, b=2, h=12, w=12)
    keep = target != VOID
    theirs = monai.GeneralizedDiceLoss(
        softmax=True, batch=not per_image, smooth_nr=0.0, smooth_dr=0.0
    )
    images = [slice(0, 1), slice(1, 2)] if per_image else [slice(0, 2)]
    expected = [  # the counting pixels as an image of one row
        theirs(
            logits[image].movedim(1, -1)[keep[image]].T[None, :, None],
            one_hot(target[image][keep[image]][None, None], 4),
        )
        for image in images
    ]
    ours = GeneralisedDiceLoss(per_image=per_image)(logits, target)
    torch.testing.assert_close(ours, torch.stack(expected).mean(), **close)


@given(seeds, st.sampled_from([0.2, 0.95]))
def test_binary_generalised_dice_has_the_background_for_its_other_class(batch, seed, void):
    logits, target = batch(1, seed, void)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    ours, expected = (GeneralisedDiceLoss()(scores, target) for scores in (logits, two))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [SoftDiceLoss, TverskyLoss, FocalTverskyLoss, GeneralisedDiceLoss])
def test_per_image_is_the_mean_of_the_images(make, batch):
    logits, target = batch(3)
    alone = [make()(logits[i : i + 1], target[i : i + 1]) for i in range(3)]
    expected = torch.stack(alone).mean()
    torch.testing.assert_close(make(per_image=True)(logits, target), expected, **close)


def test_a_focus_that_is_none_is_refused():
    with pytest.raises(OptionError, match="above 0"):
        FocalTverskyLoss(gamma=0)
