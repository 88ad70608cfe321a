"""The weighted sum of losses and its terms."""

import copy

import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fastunet.errors import OptionError
from fastunet.labels import VOID
from fastunet.losses import (
    BoundaryLoss,
    CombinedLoss,
    FocalTverskyLoss,
    GeneralisedDiceLoss,
    LovaszLoss,
    PixelCrossEntropyLoss,
    PixelFocalLoss,
    SoftDiceLoss,
    TopKLoss,
    TverskyLoss,
)
from fastunet.losses.combined import LOSSES

BUILT_IN = {
    "ce": PixelCrossEntropyLoss,
    "dice": SoftDiceLoss,
    "focal": PixelFocalLoss,
    "topk": TopKLoss,
    "tversky": TverskyLoss,
    "focal_tversky": FocalTverskyLoss,
    "lovasz": LovaszLoss,
    "boundary": BoundaryLoss,
}


@given(
    st.integers(0, 1000),
    st.sampled_from([1, 3]),
    st.dictionaries(st.sampled_from(sorted(BUILT_IN)), st.floats(0.01, 10), min_size=1),
)
def test_it_is_the_weighted_sum_of_its_terms(batch, seed, channels, weights):
    logits, target = batch(channels, seed)
    loss = CombinedLoss(**{"ce": 0, "dice": 0, **weights})
    alone = {name: BUILT_IN[name]()(logits, target) for name in weights}
    expected = sum(weights[name] * value for name, value in alone.items())
    torch.testing.assert_close(loss(logits, target), expected)
    assert loss.terms.keys() == weights.keys()
    for name, value in alone.items():
        torch.testing.assert_close(loss.terms[name], value)


def test_settings_go_to_the_losses_that_have_them():
    loss = CombinedLoss(
        smooth=3,
        class_weights=[1.0, 2.0],
        label_smoothing=0.1,
        **dict.fromkeys(["focal", "topk", "tversky", "focal_tversky", "lovasz", "boundary"], 1.0),
    )
    assert list(loss.losses) == list(loss.weights) == list(LOSSES) == list(BUILT_IN)
    for name in ("dice", "tversky", "focal_tversky"):
        assert loss.losses[name].smooth == 3
    for name in ("ce", "focal", "topk"):
        assert loss.losses[name].class_weights.values.tolist() == [1, 2]
    for name in ("ce", "topk"):
        assert loss.losses[name].label_smoothing == 0.1


def test_by_default_it_is_cross_entropy_and_dice(batch):
    logits, target = batch(3)
    loss = CombinedLoss(smooth=3, class_weights=[1.0, 2.0, 3.0], label_smoothing=0.1)
    ce = PixelCrossEntropyLoss([1.0, 2.0, 3.0], label_smoothing=0.1)(logits, target)
    dice = SoftDiceLoss(smooth=3)(logits, target)
    torch.testing.assert_close(loss(logits, target), ce + dice)
    torch.testing.assert_close(loss.terms, {"ce": ce, "dice": dice})


@pytest.mark.parametrize("channels", [1, 4])
def test_by_default_a_perfect_prediction_costs_nothing_and_the_opposite_much(channels, batch):
    _, target = batch(channels)
    truth = target.masked_fill(target == VOID, 0)
    if channels == 1:
        logits = (truth[:, None].float() - 0.5) * 40
    else:
        logits = F.one_hot(truth, channels).movedim(-1, 1).float() * 40
    assert CombinedLoss()(logits, target) < 1e-3
    assert CombinedLoss()(-logits, target) > 10


def test_terms_hold_no_graph_and_follow_the_reduction(batch):
    logits, target = batch(1)
    loss = CombinedLoss()
    loss(logits.requires_grad_(), target)
    assert not any(term.requires_grad or term.ndim for term in loss.terms.values())
    loss.reduction = "none"
    each = loss(logits, target)
    torch.testing.assert_close(sum(loss.terms.values()), each.detach().mean())


def test_terms_of_deep_supervision_add_up_to_the_loss(batch):
    levels = [batch(3, seed)[0] for seed in range(2)]
    _, target = batch(3)
    loss = CombinedLoss(ce=0.5, dice=2.0)
    value = loss(levels, target)
    torch.testing.assert_close(0.5 * loss.terms["ce"] + 2 * loss.terms["dice"], value)


def test_any_loss_can_be_added(batch):
    logits, target = batch(3)
    loss = CombinedLoss(
        dice=0,
        others={
            "generalised": (0.5, GeneralisedDiceLoss(per_image=True)),
            "nested": (0.25, CombinedLoss(ce=2.0, dice=0, tversky=1.0)),
            "jaccard": (2.0, smp.LovaszLoss("multiclass", ignore_index=VOID)),
        },
    )
    ce, tversky = PixelCrossEntropyLoss()(logits, target), TverskyLoss()(logits, target)
    generalised = GeneralisedDiceLoss(per_image=True)(logits, target)
    expected = ce + 0.5 * generalised + 0.25 * (2 * ce + tversky) + 2 * LovaszLoss()(logits, target)
    torch.testing.assert_close(loss(logits, target), expected)
    assert list(loss.terms) == ["ce", "generalised", "nested", "jaccard"]


def test_a_loss_of_weight_zero_is_not_computed(batch):
    class Failing(torch.nn.Module):
        def forward(self, logits, target):
            raise AssertionError("it was computed")

    logits, target = batch(3)
    CombinedLoss(others={"never": (0.0, Failing())})(logits, target)
    loss = CombinedLoss(others={"not now": (1.0, Failing())})
    loss.weights["not now"] = 0.0
    loss(logits, target)
    assert list(loss.terms) == ["ce", "dice"]


def test_weights_may_change_between_batches(batch):
    logits, target = batch(3)
    loss = CombinedLoss(boundary=0.01)
    loss.weights["boundary"] = 1.0
    expected = CombinedLoss(boundary=1.0)(logits, target)
    torch.testing.assert_close(loss(logits, target), expected)


def test_a_sum_of_nothing_and_a_name_that_is_taken_are_refused():
    with pytest.raises(OptionError, match="no loss"):
        CombinedLoss(ce=0, dice=0)
    with pytest.raises(OptionError, match="dice"):
        CombinedLoss(others={"dice": (1.0, GeneralisedDiceLoss())})
    with pytest.raises(TypeError, match="Unknown: focl; expected one of ce, dice, focal, "):
        CombinedLoss(focl=1.0)


def test_it_can_be_compiled(batch):
    logits, target = batch(3)
    loss = CombinedLoss(focal=1.0, topk=1.0, tversky=1.0, lovasz=1.0)
    compiled = torch.compile(copy.deepcopy(loss), backend="eager")
    torch.testing.assert_close(compiled(logits, target), loss(logits, target))
