"""One streaming confusion count, against scikit-learn."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from fastunet.errors import MaskValueError, SizeMismatchError
from fastunet.labels import VOID
from fastunet.metrics import Confusion


@given(data=st.data())
def test_the_counts_are_scikit_learns_confusion_matrix(data, predictions):
    classes, predicted, target = data.draw(predictions)
    confusion = Confusion()
    confusion.update(predicted, target, classes)
    keep = target != VOID
    if keep.any():
        expected = confusion_matrix(target[keep], predicted[keep], labels=range(classes))
        np.testing.assert_array_equal(confusion.counts, expected)
    else:
        assert not confusion.counts.any()


@given(data=st.data())
def test_each_image_has_a_count_of_its_own_however_they_are_batched(data, predictions):
    classes, predicted, target = data.draw(predictions)
    cut = data.draw(st.integers(0, len(target)))
    confusion = Confusion(per_image=True)
    for part in (slice(None, cut), slice(cut, None)):
        confusion.update(predicted[part], target[part], classes)
    assert confusion.image_counts.shape == (len(target), classes, classes)
    assert torch.equal(confusion.image_counts.sum(0), confusion.counts)
    for one, ours, theirs in zip(confusion.image_counts, predicted, target, strict=True):
        alone = Confusion()
        alone.update(ours, theirs, classes)
        assert torch.equal(alone.counts, one)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_masks_of_any_integer_type_count_alike(dtype):
    target = torch.tensor([[0, 199, VOID]], dtype=dtype)
    confusion = Confusion()
    confusion.update(torch.tensor([[0, 1, 2]], dtype=dtype), target, 200)
    assert confusion.counts.nonzero().tolist() == [[0, 0], [199, 1]]


@pytest.mark.parametrize(
    ("predicted", "target"),
    [([0, 1], [0, 2]), ([0, 1], [-1, 1]), ([5, 1], [0, 1]), ([0, -1], [0, 1])],
)
def test_values_that_are_no_class_are_told_when_the_counts_are_read(predicted, target):
    confusion = Confusion()
    confusion.update(torch.tensor([predicted]), torch.tensor([target]), 2)
    with pytest.raises(MaskValueError, match=r"^1 pixels .*0 to 1, or 255"):
        confusion.dice()


def test_masks_of_another_size_are_refused():
    with pytest.raises(SizeMismatchError, match="2 x 3 and the mask 3 x 2"):
        Confusion().update(torch.zeros(2, 3), torch.zeros(3, 2), 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_counting_never_waits_for_the_device(channels):
    confusion = Confusion(per_image=True)
    target = torch.empty(2, 8, 8, dtype=torch.int64, device="meta")  # holds no values to look at
    for _ in range(2):
        confusion.update_from_logits(torch.empty(2, channels, 8, 8, device="meta"), target)


def test_the_same_logits_are_counted_once():
    confusion = Confusion()
    logits, target = torch.randn(2, 1, 4, 4), torch.zeros(2, 4, 4)
    confusion.update_from_logits(logits, target)
    confusion.update_from_logits(logits, target)
    assert confusion.counts.sum() == 32
    confusion.update_from_logits(logits.clone(), target)
    assert confusion.counts.sum() == 64


def test_images_that_were_not_kept_cannot_be_read():
    with pytest.raises(ValueError, match="per_image=True"):
        _ = Confusion().image_counts


def test_a_count_can_be_copied_and_pickled():
    confusion, logits = Confusion(), torch.randn(1, 1, 4, 4)
    confusion.update_from_logits(logits, torch.ones(1, 4, 4))
    for again in (copy.deepcopy(confusion), pickle.loads(pickle.dumps(confusion))):
        assert torch.equal(again.counts, confusion.counts)
