"""Any mask encoding as class indices."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fastunet.data.codes import parse_value
from fastunet.data.masks import VOID, MaskCodec
from fastunet.errors import ImageReadError, MaskValueError

PALETTE = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0)}


def save(path, array, **kwargs):
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **kwargs)
    return path


def save_palette(path, indices, palette):
    """A palette file whose index i has the colour palette[i]."""
    image = Image.fromarray(np.asarray(indices, np.uint8), mode="P")
    flat = np.zeros((256, 3), np.uint8)
    for index, colour in palette.items():
        flat[index] = colour
    image.putpalette(flat.ravel().tolist())
    image.save(path)
    return path


def grid(*values):
    return np.array([values, values[::-1]])


# --- understanding ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "classes", "void", "task"),
    [
        ((0, 255), ("background", "foreground"), (), "binary"),
        ((0, 1), ("background", "foreground"), (), "binary"),
        ((3, 9), ("3", "9"), (), "binary"),
        ((0, 1, 2), ("0", "1", "2"), (), "multiclass"),
        ((0, 7, 255), ("0", "7", "255"), (), "multiclass"),
        ((0, 1, 255), ("background", "foreground"), (255,), "binary"),
        ((0, 1, 2, 255), ("0", "1", "2"), (255,), "multiclass"),
    ],
)
def test_grey_values_become_classes_in_ascending_order(tmp_path, values, classes, void, task):
    path = save(tmp_path / "m.png", grid(*values))
    codec = MaskCodec.infer([path])
    assert (codec.classes, codec.void, codec.task) == (classes, void, task)
    expected = grid(*[VOID if v in void else codec.codes.index(v) for v in values])
    np.testing.assert_array_equal(codec.read(path), expected)


def test_values_are_gathered_over_all_masks(tmp_path):
    paths = [save(tmp_path / f"{v}.png", np.full((3, 3), v)) for v in (5, 0, 9)]
    assert MaskCodec.infer(paths).codes == (0, 5, 9)


def test_colours_become_classes_and_black_comes_first(tmp_path):
    rgb = np.array([[(255, 0, 0), (0, 0, 0)], [(0, 255, 0), (0, 0, 0)]], np.uint8)
    path = save(tmp_path / "m.png", rgb)
    codec = MaskCodec.infer([path])
    assert codec.classes == ("#000000", "#00ff00", "#ff0000")
    np.testing.assert_array_equal(codec.read(path), [[2, 0], [1, 0]])
    np.testing.assert_array_equal(codec.decode(codec.read(path)), rgb)


def test_grey_stored_as_rgb_is_grey(tmp_path):
    path = save(tmp_path / "m.png", grid(0, 255)[..., None].repeat(3, 2))
    assert MaskCodec.infer([path]).codes == (0, 255)
    assert MaskCodec.infer([path, save(tmp_path / "l.png", grid(0, 255))]).codes == (0, 255)


def test_a_grey_file_among_colour_ones_is_read_as_grey_colours(tmp_path):
    colour = save(tmp_path / "c.png", np.array([[(255, 0, 0), (0, 0, 0)]], np.uint8))
    grey = save(tmp_path / "g.png", np.zeros((2, 2)))
    codec = MaskCodec.infer([colour, grey])
    np.testing.assert_array_equal(codec.read(grey), np.zeros((2, 2)))


def test_transparent_pixels_are_one_class_whatever_their_colour(tmp_path):
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0, :] = (255, 0, 0, 255)
    rgba[1, 0] = (9, 9, 9, 0)
    path = save(tmp_path / "m.png", rgba)
    codec = MaskCodec.infer([path])
    assert len(codec.classes) == 2
    assert len(set(codec.read(path)[1])) == 1


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_files_are_read_by_colour_in_palette_order(tmp_path, suffix):
    path = save_palette(tmp_path / f"m.{suffix}", grid(0, 1, 2, 3), PALETTE)
    codec = MaskCodec.infer([path])
    assert codec.classes == ("#000000", "#800000", "#008000", "#808000")
    np.testing.assert_array_equal(codec.read(path), grid(0, 1, 2, 3))


def test_a_palette_whose_order_differs_from_file_to_file_does_not_matter(tmp_path):
    turned = {0: PALETTE[2], 1: PALETTE[0], 2: PALETTE[1]}
    one = save_palette(tmp_path / "a.png", grid(0, 1, 2), PALETTE)
    two = save_palette(tmp_path / "b.png", grid(1, 2, 0), turned)  # the same picture
    codec = MaskCodec.infer([one, two])
    np.testing.assert_array_equal(codec.read(one), codec.read(two))
    assert len(np.unique(codec.read(one))) == 3


def test_a_palette_that_says_nothing_is_read_by_index(tmp_path):
    path = save_palette(tmp_path / "m.png", grid(0, 1, 2), {})  # all black
    codec = MaskCodec.infer([path])
    assert codec.palette == "index"
    np.testing.assert_array_equal(codec.read(path), grid(0, 1, 2))


def test_pascal_vocs_palette_border_is_void(tmp_path):
    path = save_palette(tmp_path / "m.png", grid(0, 1, 2, 255), {**PALETTE, 255: (224, 224, 192)})
    codec = MaskCodec.infer([path])
    np.testing.assert_array_equal(codec.read(path), grid(0, 1, 2, VOID))
    assert MaskCodec.infer([path], void=255) == codec  # a palette index stands for its colour


def test_jpeg_masks_with_greys_in_between_go_to_the_nearest_value(tmp_path):
    truth = np.zeros((64, 64), np.uint8)
    cv2.circle(truth, (30, 30), 15, 255, -1)
    path = save(tmp_path / "m.jpg", truth, quality=60)
    with Image.open(path) as file:
        assert len(np.unique(np.asarray(file))) > 2
    codec = MaskCodec.infer([path])
    assert codec.task == "binary"
    assert (codec.read(path) != (truth > 0)).mean() < 0.01


def test_jpeg_colours_go_to_the_nearest_colour(tmp_path):
    truth = np.zeros((64, 64, 3), np.uint8)
    truth[:, 20:40] = (255, 0, 0)
    truth[:, 40:] = (0, 255, 0)
    path = save(tmp_path / "m.jpg", truth, quality=90, subsampling=0)
    codec = MaskCodec.infer([path])
    indices = codec.read(path)
    assert len(codec.classes) == 3
    assert [len(set(np.unique(indices[:, s]))) for s in (slice(0, 19), slice(21, 39))] == [1, 1]


def test_sixteen_bit_values_are_classes(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), grid(0, 1000, 40000).astype(np.uint16))
    codec = MaskCodec.infer([tmp_path / "m.png"])
    assert codec.codes == (0, 1000, 40000)
    np.testing.assert_array_equal(codec.read(tmp_path / "m.png"), grid(0, 1, 2))


def test_one_bit_masks_are_binary(tmp_path):
    Image.fromarray(grid(0, 255).astype(np.uint8)).convert("1").save(tmp_path / "m.png")
    codec = MaskCodec.infer([tmp_path / "m.png"])
    np.testing.assert_array_equal(codec.read(tmp_path / "m.png"), grid(0, 1))


# --- what the user says -------------------------------------------------------------------------


def test_names_void_and_values_can_be_given(tmp_path):
    path = save(tmp_path / "m.png", grid(0, 1, 11))
    codec = MaskCodec.infer([path], classes=["sky", "road"], void=11)
    assert (codec.classes, codec.void) == (("sky", "road"), (11,))
    assert MaskCodec.infer([path], void=[11, 12, 13]).void == (11, 12, 13)
    stated = MaskCodec.infer([path], classes={"road": 1, "sky": 0}, void=[11])
    np.testing.assert_array_equal(stated.read(path), grid(1, 0, VOID))


def test_names_of_indices_may_include_classes_that_do_not_occur_and_void(tmp_path):
    path = save(tmp_path / "m.png", grid(0, 2, 4))
    codec = MaskCodec.infer([path], classes=["a", "b", "c", "d", "void"], void=4)
    assert codec.classes == ("a", "b", "c", "d")
    np.testing.assert_array_equal(codec.read(path), grid(0, 2, VOID))


def test_two_hundred_fifty_five_is_a_class_where_it_is_named(tmp_path):
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
def test_what_does_not_fit_the_masks_is_said(tmp_path, classes, void, message):
    path = save(tmp_path / "m.png", grid(0, 1, 11))
    with pytest.raises(MaskValueError, match=message):
        MaskCodec.infer([path], classes, void)


@pytest.mark.parametrize(
    ("text", "code"),
    [(11, (11, False)), ("11", (11, False)), ("#ff0001", (0xFF0001, True)),
     ((255, 0, 1), (0xFF0001, True)), ("#ff0001ff", (0xFF0001, True))],
)  # fmt: skip
def test_values_and_colours_can_be_written_in_many_ways(text, code):
    assert parse_value(text) == code


# --- what goes wrong ----------------------------------------------------------------------------


def test_an_unknown_value_names_the_file_and_the_value(tmp_path):
    codec = MaskCodec.infer([save(tmp_path / "m.png", grid(0, 255))])
    odd = save(tmp_path / "odd.png", grid(0, 128))
    with pytest.raises(MaskValueError, match=r"odd\.png holds 128 \(2 pixels\).*0, 255"):
        codec.read(odd)


def test_an_unknown_colour_names_the_file_and_the_colour(tmp_path):
    colours = np.array([[(255, 0, 0), (0, 0, 0)]], np.uint8)
    codec = MaskCodec.infer([save(tmp_path / "m.png", colours)])
    odd = save(tmp_path / "odd.png", np.array([[(255, 0, 0), (1, 2, 3)]], np.uint8))
    with pytest.raises(MaskValueError, match=r"odd\.png holds #010203 \(1 pixels\)"):
        codec.read(odd)


@pytest.mark.parametrize(
    ("values", "void", "message"),
    [((7,), None, "hold only 7"), ((7,), 7, r"nothing but void \(7\)"), ((0, 3), 3, "hold only 0")],
)
def test_masks_with_nothing_to_learn_are_refused(tmp_path, values, void, message):
    with pytest.raises(MaskValueError, match=message):
        MaskCodec.infer([save(tmp_path / "m.png", grid(*values))], void=void)


def test_a_picture_instead_of_a_mask_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    with pytest.raises(MaskValueError, match="instance map, or a picture instead of a mask"):
        MaskCodec.infer([save(tmp_path / "m.png", noise)])


def test_a_mask_that_cannot_be_decoded_is_named(tmp_path):
    (tmp_path / "m.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(ImageReadError, match=r"m\.png"):
        MaskCodec.infer([tmp_path / "m.png"])


# --- for every codec ----------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 255), min_size=2, max_size=20, unique=True),
    st.integers(0, 2),
    st.randoms(use_true_random=False),
)
def test_encoding_is_the_inverse_of_the_values(values, n_void, random):
    values = sorted(values)
    void = tuple(values[: min(n_void, len(values) - 2)])
    codes = tuple(values[len(void) :])
    codec = MaskCodec(tuple(map(str, codes)), codes, void)
    mask = np.array([random.choice(values) for _ in range(30)], np.uint8).reshape(5, 6)
    indices = codec.encode(mask)
    back = np.array([*codes, *[0] * (256 - len(codes))])[indices]
    np.testing.assert_array_equal(np.isin(mask, void), indices == VOID)
    np.testing.assert_array_equal(np.where(indices == VOID, mask, back), mask)


@given(hnp.arrays(np.uint8, (4, 5, 3), elements=st.sampled_from([0, 127, 255])))
def test_colours_survive_encoding_and_decoding(rgb):
    levels = [0, 127, 255]
    codes = tuple(r << 16 | g << 8 | b for r in levels for g in levels for b in levels)
    codec = MaskCodec(tuple(map(str, codes)), codes, colour=True)
    np.testing.assert_array_equal(codec.decode(codec.encode(rgb)), rgb)


@pytest.mark.parametrize(
    "codec",
    [
        MaskCodec(("a", "b"), (0, 255)),
        MaskCodec(("a", "b", "c"), (0, 7, 9), (255, 11)),
        MaskCodec(("a", "b"), (0, 0x8000FF), (0xFFFFFF,), colour=True),
        MaskCodec(("a", "b"), (0xFF000000, 0x00FF00), colour=True, nearest=True),
        MaskCodec(("a", "b"), (0, 1), palette="index"),
    ],
)
def test_json_makes_the_same_codec_again(codec):
    import json

    assert MaskCodec.from_dict(json.loads(json.dumps(codec.to_dict()))) == codec
    assert codec.classes[0] in codec.describe()


@pytest.mark.parametrize(
    ("name", "void", "classes", "first"),
    [("camvid", 11, 11, "0"), ("cwfid", None, 3, "#000000"), ("carvana", None, 2, "background")],
)
def test_the_real_data_sets_are_understood(shared, name, void, classes, first):
    masks = sorted(f for f in shared(name).rglob("*.*") if "masks" in f.parent.name)
    codec = MaskCodec.infer(masks, void=void)
    assert len(codec.classes) == classes
    assert codec.classes[0] == first
    assert codec.read(masks[0]).ndim == 2
