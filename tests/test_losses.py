"""Losses on logits and class indices, void left out."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fastunet.data.masks import VOID
from fastunet.losses import CombinedLoss, activate, decide


def batch(channels, seed=0, void=0.2, b=3, h=9, w=7):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(b, channels, h, w, generator=generator)
    target = torch.randint(0, max(2, channels), (b, h, w), generator=generator)
    target[torch.rand(b, h, w, generator=generator) < void] = VOID
    return logits, target


def dice_by_hand(logits, target, smooth=1.0):
    """Class by class over the pixels that count, in numpy's manner."""
    probs = activate(logits).movedim(1, -1)[target != VOID]  # (pixels, C)
    truth = target[target != VOID]
    classes = [(probs[:, 0], truth == 1)] if logits.shape[1] == 1 else [
        (probs[:, c], truth == c) for c in range(logits.shape[1])
    ]  # fmt: skip
    each = [
        1 - (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth)
        for p, t in classes
        if t.any()
    ]
    return sum(each) / len(each) if each else torch.tensor(0.0)


@given(st.integers(0, 1000), st.sampled_from([1, 2, 5]))
def test_cross_entropy_is_pytorchs_with_void_ignored(seed, channels):
    logits, target = batch(channels, seed)
    if channels == 1:
        keep = target != VOID
        expected = F.binary_cross_entropy_with_logits(logits[:, 0][keep], target[keep].float())
    else:
        expected = F.cross_entropy(logits, target, ignore_index=VOID)
    torch.testing.assert_close(CombinedLoss(dice=0)(logits, target), expected)


@given(st.integers(0, 1000), st.sampled_from([1, 2, 5]))
def test_dice_is_that_of_the_pixels_that_count(seed, channels):
    logits, target = batch(channels, seed)
    torch.testing.assert_close(CombinedLoss(ce=0)(logits, target), dice_by_hand(logits, target))


def test_class_weights_are_pytorchs():
    logits, target = batch(3)
    weights = [0.5, 1.0, 4.0]
    expected = F.cross_entropy(logits, target, torch.tensor(weights), ignore_index=VOID)
    loss = CombinedLoss(dice=0, class_weights=weights)
    torch.testing.assert_close(loss(logits, target), expected)
    binary = CombinedLoss(dice=0, class_weights=[1.0, 3.0])
    assert torch.isfinite(binary(*batch(1)))


@pytest.mark.parametrize("channels", [1, 4])
def test_a_perfect_prediction_costs_nothing_and_the_opposite_much(channels):
    _, target = batch(channels)
    truth = target.masked_fill(target == VOID, 0)
    if channels == 1:
        logits = (truth[:, None].float() - 0.5) * 40
    else:
        logits = F.one_hot(truth, channels).movedim(-1, 1).float() * 40
    loss = CombinedLoss()
    assert loss(logits, target) < 1e-3
    assert loss(-logits, target) > 10


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill", [VOID, 0])
def test_all_void_and_empty_batches_are_finite(channels, fill):
    logits = torch.randn(2, channels, 6, 6, requires_grad=True)
    loss = CombinedLoss()(logits, torch.full((2, 6, 6), fill))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    if fill == VOID:
        assert loss == 0
        assert not logits.grad.any()


def test_void_pixels_get_no_gradient():
    logits, target = batch(3)
    logits.requires_grad_()
    CombinedLoss()(logits, target).backward()
    void = (target == VOID)[:, None].expand_as(logits)
    assert not logits.grad[void].any()
    assert logits.grad[~void].any()


def test_reductions():
    logits, target = batch(3)
    loss = CombinedLoss()
    mean = loss(logits, target)
    loss.reduction = "sum"
    torch.testing.assert_close(loss(logits, target), mean * 3)
    loss.reduction = "none"
    each = loss(logits, target)
    alone = [CombinedLoss()(logits[i : i + 1], target[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(each, torch.stack(alone))


def test_it_computes_in_float32_under_mixed_precision():
    logits, target = batch(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert CombinedLoss()(logits.bfloat16(), target).dtype == torch.float32


@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_are_those_of_finite_differences(channels):
    logits, target = batch(channels, b=1, h=3, w=3)
    logits = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda scores: CombinedLoss()(scores, target), logits)


def test_activation_and_decodes_give_class_indices():
    loss = CombinedLoss()
    for channels in (1, 4):
        logits, _ = batch(channels)
        probs = loss.activation(logits)
        assert probs.min() >= 0
        assert probs.max() <= 1
        decoded = loss.decodes(probs)
        assert decoded.shape == (3, 9, 7)
        assert decoded.dtype == torch.int64
        expected = (logits[:, 0] > 0).long() if channels == 1 else logits.argmax(1)
        torch.testing.assert_close(decoded, expected)
        torch.testing.assert_close(decide(logits, threshold=0), expected)
