"""Errors by size of the object and by distance to an outline."""

import numpy as np

from fastunet.labels import VOID
from fastunet.report.mistakes import DISTANCES, SIDES, Mistakes, distance_names, size_names


def test_objects_are_told_apart_by_their_size_and_found_by_half_of_their_pixels():
    truth = np.zeros((60, 60), np.uint8)
    truth[2:5, 2:5] = 1  # 3 a side
    truth[20:30, 20:30] = 1  # 10 a side
    truth[40:50, 40:50] = 1
    prediction = np.zeros_like(truth)
    prediction[20:25, 20:30] = 1  # the half of it
    prediction[40:44, 40:50] = 1  # less than half
    mistakes = Mistakes(2)
    mistakes.add(truth, prediction)
    named = dict(zip(size_names(), mistakes.sizes.tolist(), strict=True))
    assert named["below 4 px"] == [1, 0, 9, 0]
    assert named["8 to 16 px"] == [2, 1, 200, 90]
    assert mistakes.sizes[:, 0].sum() == 3


def test_pixels_are_counted_by_their_distance_to_the_nearest_outline():
    truth = np.zeros((10, 100), np.uint8)
    truth[:, 50:] = 1
    prediction = truth.copy()
    prediction[:, 49] = 1  # beside the outline
    prediction[:, 0] = 1  # far away
    mistakes = Mistakes(2)
    mistakes.add(truth, prediction)
    named = dict(zip(distance_names(), mistakes.distances.tolist(), strict=True))
    assert named["at the outline"] == [20, 10]
    assert named["1 to 2 px"] == [20, 0]
    assert named["beyond 32 px"] == [360, 10]
    assert mistakes.distances[:, 0].sum() == truth.size
    assert mistakes.near_outlines == 0.5


def test_void_neither_counts_nor_makes_an_outline():
    truth = np.zeros((8, 8), np.uint8)
    truth[:, 4:] = VOID
    mistakes = Mistakes(3)
    mistakes.add(truth, np.ones_like(truth))
    assert mistakes.distances.tolist()[-1] == [32, 32]  # there is no outline
    assert mistakes.distances[:-1].sum() == 0
    assert mistakes.sizes[:, 0].sum() == 1


def test_every_row_has_a_name():
    assert len(size_names()) == len(SIDES) + 1 == len(Mistakes(2).sizes)
    assert len(distance_names()) == len(DISTANCES) + 1 == len(Mistakes(2).distances)
