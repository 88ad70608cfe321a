"""Pixels in bins."""

import numpy as np
import pytest
import torch

from fastunet.errors import MaskValueError
from fastunet.labels import VOID
from fastunet.metrics._binning import Bins, across_processes, processes


def test_each_image_has_the_counts_that_numpy_gives_it_and_void_has_none():
    rng = np.random.default_rng(0)
    where, target = rng.integers(0, 5, (3, 8, 8)), rng.choice([0, 1, VOID], (3, 8, 8))
    values = torch.from_numpy(rng.integers(0, 9, (3, 64)))
    bins = Bins(5, n_classes=2)
    assigned = bins.assign(torch.from_numpy(where), torch.from_numpy(target))
    counts, sums = bins.read(bins.count(assigned)), bins.read(bins.count(assigned, values))
    for i in range(3):
        keep = (target[i] != VOID).ravel()
        kept = where[i].ravel()[keep]
        np.testing.assert_array_equal(counts[i], np.bincount(kept, minlength=5))
        weights = values[i].numpy()[keep]
        np.testing.assert_array_equal(sums[i], np.bincount(kept, weights, minlength=5))


def test_pixels_of_no_class_are_told_when_the_counts_are_read():
    bins = Bins(4, n_classes=2)
    where, target = torch.zeros(1, 3, dtype=torch.long), torch.tensor([[0, 2, -1]])
    counts = bins.count(bins.assign(where, target))
    with pytest.raises(MaskValueError, match=r"^2 pixels .*no class: 0 to 1, or 255"):
        bins.read(counts)


def test_without_a_distributed_run_there_is_one_process():
    assert processes() == 1
    assert across_processes("mine") == ["mine"]
