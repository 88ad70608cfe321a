"""Mask values that are mistakes rather than classes."""

import cv2
import numpy as np
import pytest

from fastunet.errors import MaskValueError
from fastunet.masks.codec import MaskCodec
from fastunet.masks.outliers import outlier_codes


def outliers(common, odd, files=100, pixels=10):
    """A value that one file of many holds, a few pixels of it."""
    held = [set(common) for _ in range(files)]
    held[3] |= {odd}
    return outlier_codes(held, {**dict.fromkeys(common, 100_000), odd: pixels})


@pytest.mark.parametrize(
    ("common", "odd", "expected"),
    [
        ((0, 255), 77, {77}),  # two values show a rule
        ((0, 1, 2, 3), 77, {77}),  # and so do indices that follow each other
        ((0, 1, 2, 3), 4, set()),  # which a rare class continues
        ((0, 1, 2, 3), 255, set()),  # beside which 255 is void
        ((10, 50, 90), 77, {77}),  # next to nothing without a rule
    ],
)
def test_a_value_in_one_file_is_a_mistake_where_it_breaks_the_rule(common, odd, expected):
    assert outliers(common, odd) == expected


def test_without_a_rule_a_rare_class_is_a_class():
    assert outliers((10, 50, 90), 77, pixels=1000) == set()


def test_a_value_in_most_files_is_no_mistake():
    files = [{0, 128, 255}] * 20
    assert outlier_codes(files, {0: 10**6, 255: 10**6, 128: 50}) == set()


@pytest.fixture
def one_77(write_pairs):
    root = write_pairs(10)
    mask = cv2.imread(str(root / "masks/04.png"), cv2.IMREAD_GRAYSCALE)
    mask[:2, :3] = 77
    cv2.imwrite(str(root / "masks/04.png"), mask)
    return sorted((root / "masks").iterdir())


def test_an_outlier_makes_no_class_but_an_error_that_names_it(one_77):
    with pytest.raises(MaskValueError, match=r"Beside 0, 255 .* 77 \(6 pixels, 04\.png\)"):
        MaskCodec.infer(one_77)


@pytest.mark.parametrize("say", [{"unknown": "void"}, {"void": 77}])
def test_an_outlier_is_void_where_the_user_says_so(one_77, say):
    codec = MaskCodec.infer(one_77, **say)
    assert codec.classes == ("background", "foreground")
    assert (codec.read(one_77[4]) == 255).sum() == 6


def test_a_rare_class_that_is_named_is_a_class(one_77):
    codec = MaskCodec.infer(one_77, classes=["off", "rare", "on"])
    assert codec.codes == (0, 77, 255)
    assert np.unique(codec.read(one_77[4])).tolist() == [0, 1, 2]
