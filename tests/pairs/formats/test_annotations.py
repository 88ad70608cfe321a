"""What all annotation files have in common."""

import pytest

from fastunet.errors import PairingError
from fastunet.pairs.formats.annotations import class_values, read_json, stated_size


def test_the_background_is_0_and_the_classes_follow_in_their_order():
    names = ["leaf", "_Background_", "stem", "leaf"]
    assert class_values(names, "x") == {"background": 0, "leaf": 1, "stem": 2}


@pytest.mark.parametrize(
    ("names", "said"),
    [(["background"], "x names no classes"), ([str(n) for n in range(254)], "at most 253")],
)
def test_a_mask_must_hold_all_classes_and_one_at_least(names, said):
    with pytest.raises(PairingError, match=said):
        class_values(names, "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [('{\n"a": ', "line 2, column 6"), ("\udcff", "not valid JSON"), ("", "line 1")],
)
def test_broken_json_is_named_with_its_place(tmp_path, text, said):
    (tmp_path / "x.json").write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(PairingError, match=said):
        read_json(tmp_path / "x.json")


def test_the_size_of_an_image_is_two_numbers_or_not_stated():
    assert stated_size(480.0, 640, "x") == (480, 640)
    assert stated_size(None, None, "x") is None
    for height, width in ((480, None), ("480", 640), (0, 640), (480, 1 << 21)):
        with pytest.raises(PairingError, match="x has a height and width of"):
            stated_size(height, width, "x")
