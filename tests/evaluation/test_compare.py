"""Two models on the same images."""

import json

import numpy as np
import pytest

from fastunet.errors import EvaluationError
from fastunet.evaluation.bootstrap import Bootstrap
from fastunet.evaluation.compare import compare
from fastunet.evaluation.scorer import Scorer


@pytest.mark.parametrize("classes", [2, 4])
def test_an_evaluation_differs_from_itself_by_nothing(scored, classes):
    same = compare(scored(classes=classes), scored(classes=classes))
    for row in same.differences:
        assert (row.difference, row.interval, row.a_better) == (0, (0, 0), 0)
    assert same.moved == ()


def test_the_difference_is_that_of_both_on_the_same_resamples(scored):
    a, b = scored(noise=0.05), scored(noise=0.2)
    rng, moves = np.random.default_rng(5), []
    for _ in range(100):
        drawn = rng.integers(6, size=6)
        dice = []
        for one in (a, b):
            tp, fp, fn = (counts[drawn, 1].sum() for counts in one.outcomes)
            dice.append(2 * tp / (2 * tp + fp + fn))
        moves.append(dice[0] - dice[1])
    row = compare(a, b, Bootstrap(100, seed=5)).differences[0]
    assert row.score == "dice"
    assert row.difference == pytest.approx(a.dice - b.dice)
    assert row.interval == pytest.approx(tuple(np.percentile(moves, (2.5, 97.5))))
    assert row.a_better == np.mean(np.array(moves) > 0)


def test_images_are_matched_by_name_whatever_their_order(scored):
    a, b = scored(classes=3), scored(classes=3, noise=0.3)
    shuffled = compare(
        scored(classes=3, order=[3, 0, 5, 1, 4, 2]),
        scored(classes=3, noise=0.3, order=[2, 4, 1, 5, 0, 3]),
    )
    for one, other in zip(compare(a, b).differences, shuffled.differences, strict=True):
        assert one.interval == pytest.approx(other.interval)
        assert one.a_better == other.a_better
    assert compare(a, b).moved == shuffled.moved


def test_swapped_sides_give_the_opposite(scored):
    a, b = scored(noise=0.1), scored(noise=0.12)
    for one, other in zip(compare(a, b).differences, compare(b, a).differences, strict=True):
        assert one.difference == -other.difference
        assert one.interval == pytest.approx(tuple(-end for end in reversed(other.interval)))


def test_the_images_that_moved_most_are_named():
    truth = np.kron(np.eye(2, dtype=int), np.ones((8, 8), int))
    scorers = [Scorer(["off", "on"]), Scorer(["off", "on"])]
    for i, cut in enumerate((0, 4, 1, 0)):
        worse = truth.copy()
        worse[:cut] = 0
        scorers[0].add(f"{i}", truth, truth)
        scorers[1].add(f"{i}", worse, truth)
    moved = compare(*(scorer.result() for scorer in scorers)).moved
    assert [name for name, _, _ in moved] == ["1", "2"]
    assert moved[0][1:] == pytest.approx((1, 2 * 96 / (96 + 128)))


def test_whole_groups_are_resampled_where_a_has_them(scored):
    groups = ["car1", "car1", "car2", "car2", "", ""]
    comparison = compare(scored(groups=groups), scored(noise=0.2))
    assert (comparison.units, comparison.grouped) == (4, True)
    assert "4 groups of images" in str(comparison)


def test_what_cannot_be_compared_says_why(scored):
    with pytest.raises(EvaluationError, match=r"only in the first \(2\): 04.png, 05.png"):
        compare(scored(6), scored(4))
    with pytest.raises(EvaluationError, match=r"only in the second \(2\): 04.png, 05.png"):
        compare(scored(4), scored(6))
    with pytest.raises(EvaluationError, match="The classes differ: background, cell and back"):
        compare(scored(), scored(classes=3))
    other = Scorer(["background", "cell"])
    for name in scored(2).names:
        other.add(name, np.eye(24, dtype=int), np.eye(24, dtype=int))
    with pytest.raises(EvaluationError, match=r"true masks differ in 2 of 2 images: 00\.png"):
        compare(scored(2), other.result())


def test_it_can_be_read_by_people_and_by_programs(scored):
    comparison = compare(scored(noise=0.05, classes=3), scored(noise=0.2, classes=3))
    text = str(comparison)
    for words in (
        "6 images",
        "iou of wall",
        "a better in",
        "100.0 %",
        "paired bootstrap",
    ):
        assert words in text
    said = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert said["differences"][0]["score"] == "dice"
    assert said["moved"][0][0] in text


def test_one_image_has_a_difference_and_no_interval(scored):
    row, *_ = compare(scored(1), scored(1, noise=0.3)).differences
    assert row.difference > 0
    assert (row.interval, row.a_better) == (None, None)
    assert "no intervals" in str(compare(scored(1), scored(1)))
