"""Scores as text."""

import numpy as np
import pytest

from fastunet.evaluation.printed import columns, shown


def test_a_number_is_shown_with_its_interval_and_what_does_not_exist_as_absent():
    assert shown(0.81234, (0.79, 0.83006)) == "0.8123 [0.7900, 0.8301]"
    assert shown(1.0) == "1.0000"
    assert shown(np.nan) == shown(None) == "absent"


def test_columns_of_numbers_end_below_each_other():
    rows = [("class", "Dice"), ("cell", "0.5"), ("background", "absent")]
    assert list(columns(rows)) == [
        "  class         Dice",
        "  cell           0.5",
        "  background  absent",
    ]


@pytest.mark.parametrize(
    ("classes", "words"),
    [(2, "(foreground)"), (4, "(mean over classes)")],
)
def test_the_table_says_what_its_numbers_mean(scored, classes, words):
    text = str(scored(classes=classes))
    assert "test: 6 images at their own size, pixels counted over all" in text
    assert words in text
    assert "(mean over images)" in text
    assert "expected calibration" in text
    assert "void left out; absent classes left out of means" in text
    assert "95 % percentile intervals from 200 bootstrap resamples of the 6 images, seed 0" in text
    assert "worst Dice: " in text
    assert ("above the threshold 0.5" in text) == (classes == 2)
    assert ("the most probable class" in text) == (classes == 4)
    assert ("objects: " in text) == (classes == 2)
    assert "HD95" not in text
    assert "HD95" in str(scored(boundary=True))


def test_intervals_say_that_they_are_of_groups_or_that_there_are_none(scored):
    grouped = scored(groups=["a", "a", "b", "b", "c", "c"])
    assert "of the 3 groups of images" in str(grouped)
    for single, why in (
        (scored(1), "none: only one image"),
        (scored(groups=["a"] * 6), "none: only one group of images"),
        (scored(resamples=0), "none: not asked for"),
    ):
        assert f"intervals: {why}" in str(single)
        assert single.intervals["dice"] is None
        assert single.per_class[0].iou_interval is None
        assert single.to_dict()["intervals"]["dice"] is None
