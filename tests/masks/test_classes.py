"""What the user says of the masks, held against what they hold."""

import numpy as np
import pytest

from fastunet.errors import MaskValueError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec

PALETTE = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0)}


def grid(*values):
    return np.array([values, values[::-1]])


def test_names_void_and_values_can_be_given(tmp_path, save):
    path = save(tmp_path / "m.png", grid(0, 1, 11))
    codec = MaskCodec.infer([path], classes=["sky", "road"], void=11)
    assert (codec.classes, codec.void) == (("sky", "road"), (11,))
    assert MaskCodec.infer([path], void=[11, 12, 13]).void == (11, 12, 13)
    stated = MaskCodec.infer([path], classes={"road": 1, "sky": 0}, void=[11])
    np.testing.assert_array_equal(stated.read(path), grid(1, 0, VOID))


def test_names_of_indices_may_include_classes_that_do_not_occur_and_void(tmp_path, save):
    path = save(tmp_path / "m.png", grid(0, 2, 4))
    codec = MaskCodec.infer([path], classes=["a", "b", "c", "d", "void"], void=4)
    assert codec.classes == ("a", "b", "c", "d")
    np.testing.assert_array_equal(codec.read(path), grid(0, 2, VOID))


def test_two_hundred_fifty_five_is_a_class_where_it_is_named(tmp_path, save):
    path = save(tmp_path / "m.png", grid(0, 1, 255))
    assert MaskCodec.infer([path], classes=["a", "b", "c"]).codes == (0, 1, 255)
    assert MaskCodec.infer([path], classes=["a", "b"]).void == (255,)


@pytest.mark.parametrize(
    ("classes", "void", "message"),
    [
        (["a"] * 5, None, "5 class names were given, but the masks hold 3 values: 0, 1, 11"),
        ({"a": 0, "b": 1}, None, r"m\.png holds 11, which classes= does not name"),
        (None, "#ff0000", "the masks hold values, written as a number"),
        (None, "eleven", "neither a value"),
        (None, "#12", "write #rrggbb"),
    ],
)
def test_what_does_not_fit_the_masks_is_said(tmp_path, classes, void, message, save):
    path = save(tmp_path / "m.png", grid(0, 1, 11))
    with pytest.raises(MaskValueError, match=message):
        MaskCodec.infer([path], classes, void)


@pytest.mark.parametrize(
    ("values", "classes", "void", "names", "codes", "void_codes"),
    [
        ((0, 1, 2), ["sky", "road", "void"], "void", ("sky", "road"), (0, 1), (2,)),
        ((0, 1), ["sky", "road", "void"], "void", ("sky", "road"), (0, 1), (2,)),
        ((0, 7, 9), ["void", "sky", "road"], "void", ("sky", "road"), (7, 9), (0,)),
        ((0, 1, 2, 255), ["sky", "road", "void"], "void", ("sky", "road"), (0, 1), (255, 2)),
        ((0, 1, 2, 9), ["sky", "road", "void"], [9, "void"], ("sky", "road"), (0, 1), (9, 2)),
        ((0, 5, 11), {"sky": 0, "road": 5, "void": 11}, "void", ("sky", "road"), (0, 5), (11,)),
        ((0, 5, 11), {"sky": 0, "road": 5, "void": 11}, 11, ("sky", "road"), (0, 5), (11,)),
    ],
)
def test_void_may_be_the_name_of_a_class(
    tmp_path, values, classes, void, names, codes, void_codes, save
):
    path = save(tmp_path / "m.png", grid(*values))
    codec = MaskCodec.infer([path], classes, void)
    assert (codec.classes, codec.codes, codec.void) == (names, codes, void_codes)


def test_a_void_that_is_no_class_is_refused(tmp_path, save):
    path = save(tmp_path / "m.png", grid(0, 1, 2))
    message = r"void='edge' is not among the classes \(sky, road, void\)"
    with pytest.raises(MaskValueError, match=message):
        MaskCodec.infer([path], ["sky", "road", "void"], void="edge")


def test_void_may_occur_nowhere_and_be_a_list_of_colours(tmp_path, save):
    rgb = np.array([[(255, 0, 0), (0, 0, 0)]], np.uint8)
    path = save(tmp_path / "m.png", rgb)
    with pytest.warns(UserWarning, match=r"void=#ffffff, .* is in none of the 1 masks"):
        codec = MaskCodec.infer([path], void=["#ffffff", (1, 2, 3)])
    assert codec.void == (0xFFFFFF, 0x010203)
    assert codec.codes == (0, 0xFF0000)


def test_a_table_of_colours_that_does_not_fit_shows_what_is_there(tmp_path, save):
    rgb = np.array([[(255, 0, 0), (0, 0, 0), (0, 0, 0)], [(0, 0, 1)] * 3], np.uint8)
    path = save(tmp_path / "m.png", rgb)
    table = {"soil": "#000000", "weed": "#fe0000", "crop": "#00ff00"}
    with pytest.raises(MaskValueError) as caught:
        MaskCodec.infer([path], table)
    message = str(caught.value)
    for part in (
        "m.png holds #000001, #ff0000, which classes= does not name",
        "#000001 (3 pixels, m.png), #000000 (2 pixels, m.png), #ff0000 (1 pixels, m.png)",
        "found nowhere: #fe0000 (weed), #00ff00 (crop)",
        "Leave out classes=",
        'unknown="void"',
    ):
        assert part in message
    tolerant = MaskCodec.infer([path], table, unknown="void")
    np.testing.assert_array_equal(tolerant.read(path), [[VOID, 0, 0], [VOID] * 3])


def test_a_table_may_name_what_the_sample_does_not_hold(tmp_path, save):
    path = save(tmp_path / "m.png", grid(0, 3))
    codec = MaskCodec.infer([path], {"a": 0, "b": 3, "c": 9})
    assert codec.codes == (0, 3, 9)


def test_names_of_palette_indices_may_include_classes_that_do_not_occur(tmp_path, save_palette):
    path = save_palette(tmp_path / "m.png", grid(0, 2, 255), {**PALETTE, 255: (224, 224, 192)})
    codec = MaskCodec.infer([path], ["a", "b", "c", "d"])
    assert (codec.codes, codec.palette, codec.void) == ((0, 1, 2, 3), "index", (255,))
    np.testing.assert_array_equal(codec.read(path), grid(0, 2, VOID))


@pytest.mark.parametrize(
    ("values", "void", "message"),
    [((7,), None, "hold only 7"), ((7,), 7, r"nothing but void \(7\)"), ((0, 3), 3, "hold only 0")],
)
def test_masks_with_nothing_to_learn_are_refused(tmp_path, values, void, message, save):
    with pytest.raises(MaskValueError, match=message):
        MaskCodec.infer([save(tmp_path / "m.png", grid(*values))], void=void)
