"""Objects found, missed, merged, split and invented."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label

from fastunet.labels import VOID
from fastunet.metrics import ObjectCounts, count_objects


def drawn(*rows):
    """A mask from a picture: `#` the class, `?` void."""
    values = {".": 0, "#": 1, "?": VOID}
    return np.array([[values[pixel] for pixel in row] for row in rows], np.uint8)


def test_half_of_an_object_is_enough_to_find_it():
    truth = drawn("##..####", "##......")
    assert count_objects(drawn("##......", "......##"), truth) == ObjectCounts(
        found=1, missed=1, predicted=2, invented=1
    )
    assert count_objects(drawn("#.......", "........"), truth).found == 0
    assert count_objects(drawn("#.......", "........"), truth, share=0.25).found == 1


def test_one_object_over_two_is_merged():
    truth, predicted = drawn("##.##"), drawn("#####")
    assert count_objects(predicted, truth) == ObjectCounts(found=2, merged=1, predicted=1)


def test_two_objects_in_one_are_split():
    truth, predicted = drawn("#####"), drawn("##.##")
    assert count_objects(predicted, truth) == ObjectCounts(found=1, split=1, predicted=2)


def test_a_touch_is_no_invention_and_no_find():
    counts = count_objects(drawn("...###"), drawn("####.."))
    assert counts == ObjectCounts(missed=1, predicted=1)


def test_pixels_that_touch_at_a_corner_are_one_object():
    assert count_objects(drawn("#.", ".#"), drawn("#.", ".#")) == ObjectCounts(found=1, predicted=1)


def test_void_belongs_to_no_object():
    truth = drawn("##????", "......")
    assert count_objects(drawn("#####.", "......"), truth) == ObjectCounts(found=1, predicted=1)
    assert count_objects(drawn("...###", "......"), truth) == ObjectCounts(missed=1)


def test_the_objects_of_another_class_can_be_counted():
    truth = np.array([[0, 2, 2, 1, 0]])
    assert count_objects(truth, truth, index=2) == ObjectCounts(found=1, predicted=1)
    assert count_objects(truth, truth, index=3) == ObjectCounts()


def test_images_add_up():
    counts = [ObjectCounts(1, 2, 3, 4, 5, 6), ObjectCounts(found=10, predicted=5)]
    total = sum(counts, ObjectCounts())
    assert total == ObjectCounts(11, 2, 3, 4, 10, 6)
    assert (total.true, total.found_share, total.invented_share) == (13, 11 / 13, 0.6)
    assert math.isnan(ObjectCounts().found_share)
    assert math.isnan(ObjectCounts().invented_share)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 1]))
def test_they_are_those_of_comparing_every_object_with_every_other(seed, share):
    rng = np.random.default_rng(seed)
    masks = (rng.random((2, 12, 14)) < rng.choice([0.1, 0.3, 0.5], (2, 1, 1))).astype(np.uint8)
    corners = np.ones((3, 3))
    ours, theirs = (
        [labels == i for i in range(1, n + 1)]
        for labels, n in (label(mask, corners) for mask in masks)
    )
    guess = masks[0] > 0
    found = sum((one & guess).sum() >= share * one.sum() for one in theirs)
    covers = [[(o & t).sum() >= share * t.sum() for t in theirs] for o in ours]
    inside = [[(o & t).sum() >= share * o.sum() for o in ours] for t in theirs]
    assert count_objects(*masks, share=share) == ObjectCounts(
        found=found,
        missed=len(theirs) - found,
        merged=sum(sum(row) > 1 for row in covers),
        split=sum(sum(row) > 1 for row in inside),
        predicted=len(ours),
        invented=sum(not (o & masks[1].astype(bool)).any() for o in ours),
    )


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match="share=0;"):
        count_objects(drawn("#"), drawn("#"), share=0)
