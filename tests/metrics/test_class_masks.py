"""A prediction beside its truth."""

import numpy as np
import pytest

from fastunet.errors import SizeMismatchError
from fastunet.labels import VOID
from fastunet.metrics._class_masks import check_sizes, class_masks


def test_void_of_the_truth_is_taken_out_of_both():
    predicted, truth = np.array([[1, 1, 0, 1]]), np.array([[1, 0, 1, VOID]])
    ours, theirs = class_masks(predicted, truth, 1)
    assert ours.tolist() == [[True, True, False, False]]
    assert theirs.tolist() == [[True, False, True, False]]


def test_sizes_that_differ_are_told_as_height_by_width_with_the_name():
    one, other = (2, 3), (3, 2)
    check_sizes(one, one)
    with pytest.raises(SizeMismatchError, match=r"^The prediction is 2 x 3 .* \(height x width\)"):
        check_sizes(one, other)
    with pytest.raises(SizeMismatchError, match=r"^a\.png: the prediction is 2 x 3 and the mask 3"):
        check_sizes(one, other, "a.png")
    with pytest.raises(SizeMismatchError, match=r"1 x 2 x 3 .*images x height x width"):
        check_sizes((1, *one), (1, *other))
