"""Intervals by resampling."""

import numpy as np
import pytest

from fastunet.evaluation.bootstrap import Bootstrap, sum_by_group

RNG = np.random.default_rng


@pytest.mark.parametrize("resamples", [1, 64, 150])
def test_resamples_are_those_of_a_plain_loop(resamples):
    values = RNG(1).integers(0, 1000, (17, 5)).astype(np.float64)
    rng, expected = RNG(3), []
    for _ in range(resamples):
        chosen = [values[i] for i in rng.integers(17, size=17)]
        expected.append(np.sum(chosen, axis=0))
    np.testing.assert_array_equal(Bootstrap(resamples, seed=3).sums(values), expected)


def test_the_interval_holds_its_share_of_the_resamples():
    low, high = Bootstrap(confidence=0.8).interval(np.arange(101.0))
    assert (low, high) == pytest.approx((10, 90))


def test_a_resample_without_the_score_is_left_out_and_none_gives_no_interval():
    boot = Bootstrap()
    assert boot.interval(np.array([np.nan, 0.5, 0.5])) == (0.5, 0.5)
    assert boot.interval(np.array([np.nan, np.nan])) is None
    assert boot.interval(boot.sums(np.ones((1, 3)))[:, 0]) is None


def test_intervals_of_a_known_ratio_cover_it_about_as_often_as_they_say():
    # 300 sets of 60 images whose true Dice is 2 * 0.8 / (2 * 0.8 + 0.2 + 0.1)
    truth = 1.6 / 1.9
    covered = 0
    for seed in range(300):
        size = RNG(seed).lognormal(6, 0.5, 60)
        part = RNG((seed, 1)).beta([80, 20, 10], 20, (60, 3))
        part *= np.array([0.8, 0.2, 0.1]) / (np.array([80, 20, 10]) / np.array([100, 40, 30]))
        values = size[:, None] * part
        drawn = Bootstrap(200, seed).sums(values)
        dice = 2 * drawn[:, 0] / (2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2])
        low, high = Bootstrap().interval(dice)
        covered += low <= truth <= high
    # 95 % wanted; percentile intervals of 60 units fall a little short, 300 trials add 1.3 %
    assert 0.90 <= covered / 300 <= 0.98


def test_groups_are_summed_in_the_order_in_which_they_come():
    values = np.array([[1.0, 10], [2, 20], [4, 40], [8, 80]])
    np.testing.assert_array_equal(sum_by_group(values, "baab"), [[9, 90], [6, 60]])


def test_copies_of_an_image_in_one_group_do_not_make_the_interval_narrower():
    values = RNG(0).random((10, 3))
    copies, groups = np.repeat(values, 7, axis=0), np.repeat(np.arange(10), 7)

    def spread(rows):
        low, high = Bootstrap().interval(np.divide(*Bootstrap().sums(rows)[:, :2].T))
        return high - low

    assert spread(sum_by_group(copies, groups.tolist())) == pytest.approx(spread(values))
    assert spread(copies) < spread(values) / 2


@pytest.mark.parametrize(
    ("values", "message"), [({"resamples": -1}, "0 or more"), ({"confidence": 95}, "between 0")]
)
def test_settings_that_make_no_interval_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Bootstrap(**values)
