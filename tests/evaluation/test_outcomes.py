"""Rows whose sums all scores are made of."""

import numpy as np
import pytest
from sklearn.metrics import multilabel_confusion_matrix

from fastunet.evaluation.bootstrap import Bootstrap
from fastunet.evaluation.outcomes import SCORES, Outcomes, ScoreRows


def test_outcomes_of_a_confusion_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 4, (2, 200))
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (truth, predicted), 1)
    found = Outcomes.of(confusion)
    tables = multilabel_confusion_matrix(truth, predicted)
    np.testing.assert_array_equal(found.tp, tables[:, 1, 1])
    np.testing.assert_array_equal(found.fp, tables[:, 0, 1])
    np.testing.assert_array_equal(found.fn, tables[:, 1, 0])
    np.testing.assert_array_equal(found.true, np.bincount(truth))


def test_rows_give_back_the_outcomes_and_their_sum_is_that_of_the_images(scored):
    result = scored(classes=3)
    for ours, kept in zip(result.rows.outcomes, result.outcomes, strict=True):
        np.testing.assert_array_equal(ours, kept)
    for ours, kept in zip(result.rows.sum().outcomes, Outcomes.of(result.confusion), strict=True):
        np.testing.assert_array_equal(ours, kept)


def test_a_row_alone_scores_as_it_does_among_others(scored):
    rows = scored(classes=3).rows
    for index, values in enumerate(rows.values):
        for name, score in ScoreRows(values).overall().items():
            assert score == rows.overall()[name][index]
        for name in SCORES:
            np.testing.assert_array_equal(
                ScoreRows(values).by_class(name), rows.by_class(name)[index]
            )


def test_a_resample_of_groups_adds_up_whole_groups(scored):
    tp = scored(4).rows.resampled("aabb", Bootstrap(50)).outcomes.tp
    own = scored(4).outcomes.tp
    first, second = own[:2].sum(0), own[2:].sum(0)
    expected = {tuple(sums) for sums in (2 * first, first + second, 2 * second)}
    assert {tuple(sums) for sums in tp} == expected


def test_a_class_absent_from_a_resample_is_left_out_of_its_mean():
    # class 2 is in the second image only
    tp, fp, fn = [[5, 3, 0], [2, 4, 6]], [[1, 0, 0], [0, 1, 1]], [[0, 1, 0], [0, 1, 1]]
    rows = ScoreRows.of_images(Outcomes(*map(np.array, (tp, fp, fn))))
    first = ScoreRows(rows.values[0])
    without, whole = ScoreRows(2 * first.values).overall(), rows.sum().overall()
    assert without["dice"] == pytest.approx(np.mean([10 / 11, 6 / 7]))
    assert whole["dice"] == pytest.approx(np.mean([14 / 15, 14 / 17, 12 / 14]))
    assert np.isnan(first.by_class("iou")[2])
    assert whole["dice_per_image"] == pytest.approx(
        np.mean([np.mean([10 / 11, 6 / 7]), np.mean([1, 8 / 10, 12 / 14])])
    )
    assert whole["iou_micro"] == pytest.approx(20 / (20 + 3 + 3))
