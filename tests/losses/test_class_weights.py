"""Class weights: the rules, and how losses come by them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from fastunet.errors import OptionError, TrainingError
from fastunet.labels import VOID
from fastunet.losses import CombinedLoss, PixelCrossEntropyLoss, SoftDiceLoss, class_weights

counts = st.lists(st.integers(0, 10**9), min_size=2, max_size=6).filter(any)


@given(counts, st.sampled_from(["inverse", "effective"]))
def test_weights_have_mean_one_over_the_classes_there_are(counts, how):
    weights, present = class_weights(counts, how), torch.tensor(counts) > 0
    assert torch.isfinite(weights).all()
    assert weights[present].mean().item() == pytest.approx(1, rel=1e-5)
    assert not weights[~present].any()
    rising = weights[present][torch.tensor(counts)[present].argsort(descending=True)]
    assert (rising.diff() >= 0).all()


def test_inverse_weights_are_scikit_learns_balanced_ones_up_to_a_factor():
    labels = np.repeat([0, 1, 2], [70, 25, 5])
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    ours = class_weights(np.bincount(labels))
    np.testing.assert_allclose(ours, theirs / theirs.mean(), rtol=1e-6)


def test_effective_weights_are_those_of_the_paper():
    n, beta = np.array([5000, 50, 1]), 0.999
    expected = (1 - beta) / (1 - beta**n)
    found = class_weights(n, "effective", beta)
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-6)


def test_effective_weights_lie_between_equal_and_inverse_ones():
    n = [10_000, 1_000, 10]
    torch.testing.assert_close(class_weights(n, "effective", 0.0), torch.ones(3))

    def ratio(weights):
        return (weights[2] / weights[0]).item()

    assert 1 < ratio(class_weights(n, "effective")) < ratio(class_weights(n, "inverse"))
    larger = class_weights([1000 * count for count in n], "effective")
    assert ratio(larger) == pytest.approx(ratio(class_weights(n, "effective")), rel=0.01)


@pytest.mark.parametrize("counts", [[], [0, 0], [5, -1], [[1, 2]]])
def test_counts_that_say_nothing_are_refused(counts):
    with pytest.raises(TrainingError, match="pixels of each class"):
        class_weights(counts)


def test_rules_that_there_are_not_are_refused():
    with pytest.raises(OptionError, match="sqrt"):
        class_weights([1, 2], "sqrt")
    with pytest.raises(OptionError, match="sqrt"):
        CombinedLoss(class_weights="sqrt")
    with pytest.raises(OptionError, match="beta"):
        class_weights([1, 2], "effective", beta=1.0)


@pytest.mark.parametrize("how", ["inverse", "effective"])
def test_a_loss_makes_its_weights_of_the_counts(batch, how):
    logits, target = batch(3)
    loss = CombinedLoss(dice=0, class_weights=how, focal=0.5)
    assert loss.needs_counts
    with pytest.raises(TrainingError, match="set_class_counts"):
        loss(logits, target)
    loss.set_class_counts([900, 90, 10])
    weights = class_weights([900, 90, 10], how).tolist()
    expected = CombinedLoss(dice=0, class_weights=weights, focal=0.5)
    assert loss(logits, target) == expected(logits, target)
    loss.set_class_counts([1, 1, 1])  # another data set
    torch.testing.assert_close(
        loss(logits, target), CombinedLoss(dice=0, focal=0.5)(logits, target)
    )


def test_numbers_stay_when_counts_come(batch):
    logits, target = batch(3)
    loss = PixelCrossEntropyLoss([1.0, 2.0, 3.0])
    assert not loss.needs_counts
    loss.set_class_counts([900, 90, 10])
    assert loss(logits, target) == PixelCrossEntropyLoss([1.0, 2.0, 3.0])(logits, target)
    assert not SoftDiceLoss().needs_counts
    assert CombinedLoss(others={"mine": (1.0, PixelCrossEntropyLoss("inverse"))}).needs_counts


def test_binary_weights_are_two(batch):
    logits, target = batch(1)
    keep = target != VOID
    weight = torch.tensor([1.0, 3.0])[target[keep]]
    each = F.binary_cross_entropy_with_logits(
        logits[:, 0][keep], target[keep].float(), reduction="none"
    )
    loss = PixelCrossEntropyLoss([1.0, 3.0])
    torch.testing.assert_close(loss(logits, target), (each * weight).sum() / weight.sum())
    with pytest.raises(TrainingError, match="3 class weights for 2 classes"):
        PixelCrossEntropyLoss([1.0, 2.0, 3.0])(logits, target)


def test_weights_move_with_the_loss():
    loss = CombinedLoss(class_weights=[1.0, 2.0])
    buffers = list(loss.to("meta").buffers())
    assert buffers
    assert all(buffer.device.type == "meta" for buffer in buffers)
