"""Any mask encoding as class indices."""

import json
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fastunet.errors import ImageReadError, MaskValueError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.masks.codes import CodeKind
from fastunet.masks.raw import RawMask
from fastunet.masks.statistics import MaskSetStats, MaskStats

PALETTE = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0)}


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
def test_grey_values_become_classes_in_ascending_order(tmp_path, values, classes, void, task, save):
    path = save(tmp_path / "m.png", grid(*values))
    codec = MaskCodec.infer([path])
    assert (codec.classes, codec.void, codec.task) == (classes, void, task)
    expected = grid(*[VOID if v in void else codec.codes.index(v) for v in values])
    np.testing.assert_array_equal(codec.read(path), expected)


def test_values_are_gathered_over_all_masks(tmp_path, save):
    paths = [save(tmp_path / f"{v}.png", np.full((3, 3), v)) for v in (5, 0, 9, 7)]
    assert MaskCodec.infer(paths).codes == (0, 5, 7, 9)


def test_colours_become_classes_and_black_comes_first(tmp_path, save):
    rgb = np.array([[(255, 0, 0), (0, 0, 0)], [(0, 255, 0), (0, 0, 0)]], np.uint8)
    path = save(tmp_path / "m.png", rgb)
    codec = MaskCodec.infer([path])
    assert codec.classes == ("#000000", "#00ff00", "#ff0000")
    np.testing.assert_array_equal(codec.read(path), [[2, 0], [1, 0]])
    np.testing.assert_array_equal(codec.decode(codec.read(path)), rgb)


def test_grey_stored_as_rgb_is_grey(tmp_path, save):
    path = save(tmp_path / "m.png", grid(0, 255)[..., None].repeat(3, 2))
    assert MaskCodec.infer([path]).codes == (0, 255)
    assert MaskCodec.infer([path, save(tmp_path / "l.png", grid(0, 255))]).codes == (0, 255)


def test_a_grey_file_among_colour_ones_is_read_as_grey_colours(tmp_path, save):
    colour = save(tmp_path / "c.png", np.array([[(255, 0, 0), (0, 0, 0)]], np.uint8))
    grey = save(tmp_path / "g.png", np.zeros((2, 2)))
    codec = MaskCodec.infer([colour, grey])
    np.testing.assert_array_equal(codec.read(grey), np.zeros((2, 2)))


def test_transparent_pixels_are_one_class_whatever_their_colour(tmp_path, save):
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0, :] = (255, 0, 0, 255)
    rgba[1, 0] = (9, 9, 9, 0)
    path = save(tmp_path / "m.png", rgba)
    codec = MaskCodec.infer([path])
    assert len(codec.classes) == 2
    assert len(set(codec.read(path)[1])) == 1


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_files_are_read_by_colour_in_palette_order(tmp_path, suffix, save_palette):
    path = save_palette(tmp_path / f"m.{suffix}", grid(0, 1, 2, 3), PALETTE)
    codec = MaskCodec.infer([path])
    assert codec.classes == ("#000000", "#800000", "#008000", "#808000")
    np.testing.assert_array_equal(codec.read(path), grid(0, 1, 2, 3))


def test_a_palette_whose_order_differs_from_file_to_file_does_not_matter(tmp_path, save_palette):
    turned = {0: PALETTE[2], 1: PALETTE[0], 2: PALETTE[1]}
    one = save_palette(tmp_path / "a.png", grid(0, 1, 2), PALETTE)
    two = save_palette(tmp_path / "b.png", grid(1, 2, 0), turned)  # the same picture
    codec = MaskCodec.infer([one, two])
    np.testing.assert_array_equal(codec.read(one), codec.read(two))
    assert len(np.unique(codec.read(one))) == 3


def test_a_palette_that_says_nothing_is_read_by_index(tmp_path, save_palette):
    path = save_palette(tmp_path / "m.png", grid(0, 1, 2), {})  # all black
    codec = MaskCodec.infer([path])
    assert codec.palette == "index"
    np.testing.assert_array_equal(codec.read(path), grid(0, 1, 2))


def test_pascal_vocs_palette_border_is_void(tmp_path, save_palette):
    path = save_palette(tmp_path / "m.png", grid(0, 1, 2, 255), {**PALETTE, 255: (224, 224, 192)})
    codec = MaskCodec.infer([path])
    np.testing.assert_array_equal(codec.read(path), grid(0, 1, 2, VOID))
    assert MaskCodec.infer([path], void=255) == codec  # a palette index stands for its colour


def test_jpeg_masks_with_greys_in_between_go_to_the_nearest_value(tmp_path, save):
    truth = np.zeros((64, 64), np.uint8)
    cv2.circle(truth, (30, 30), 15, 255, -1)
    path = save(tmp_path / "m.jpg", truth, quality=60)
    with Image.open(path) as file:
        assert len(np.unique(np.asarray(file))) > 2
    codec = MaskCodec.infer([path])
    assert codec.task == "binary"
    assert (codec.read(path) != (truth > 0)).mean() < 0.01


def test_jpeg_colours_go_to_the_nearest_colour(tmp_path, save):
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


def test_one_bit_masks_may_lie_among_those_of_bytes(tmp_path):
    paths = [tmp_path / "bit.png", tmp_path / "bytes.png"]
    Image.fromarray(grid(0, 255).astype(np.uint8)).convert("1").save(paths[0])
    Image.fromarray(grid(0, 255).astype(np.uint8)).save(paths[1])
    codec = MaskCodec.infer(paths)
    assert codec.codes == (0, 255)
    for path in paths:
        np.testing.assert_array_equal(codec.read(path), grid(0, 1))


def test_unknown_values_are_void_where_the_user_says_so(tmp_path, save):
    codec = MaskCodec.infer([save(tmp_path / "m.png", grid(0, 255))], unknown="void")
    odd = save(tmp_path / "odd.png", grid(0, 128))
    np.testing.assert_array_equal(codec.read(odd), grid(0, VOID))
    with pytest.raises(MaskValueError, match=r"unknown='skip'; one of \('error', 'void'\)"):
        MaskCodec.infer([odd], unknown="skip")


# --- other values -------------------------------------------------------------------------------


def test_values_below_zero_may_be_void(tmp_path):
    np.save(tmp_path / "m.npy", grid(-1, 0, 1).astype(np.float32))
    codec = MaskCodec.infer([tmp_path / "m.npy"], void=-1)
    np.testing.assert_array_equal(codec.read(tmp_path / "m.npy"), grid(VOID, 0, 1))
    assert MaskCodec.infer([tmp_path / "m.npy"], void="-1") == codec


def test_deep_values_among_colours_are_refused(tmp_path, save):
    colour = save(tmp_path / "c.png", np.array([[(255, 0, 0), (0, 0, 0)]], np.uint8))
    cv2.imwrite(str(tmp_path / "v.png"), grid(0, 1000).astype(np.uint16))
    with pytest.raises(MaskValueError, match=r"v\.png holds values 0\.\.1000, .*c\.png holds col"):
        MaskCodec.infer([colour, tmp_path / "v.png"])


# --- what goes wrong ----------------------------------------------------------------------------


def test_an_unknown_value_names_the_file_and_the_value(tmp_path, save):
    codec = MaskCodec.infer([save(tmp_path / "m.png", grid(0, 255))])
    odd = save(tmp_path / "odd.png", grid(0, 128))
    with pytest.raises(MaskValueError, match=r"odd\.png holds 128 \(2 pixels\).*0, 255"):
        codec.read(odd)


def test_an_unknown_colour_names_the_file_and_the_colour(tmp_path, save):
    colours = np.array([[(255, 0, 0), (0, 0, 0)]], np.uint8)
    codec = MaskCodec.infer([save(tmp_path / "m.png", colours)])
    odd = save(tmp_path / "odd.png", np.array([[(255, 0, 0), (1, 2, 3)]], np.uint8))
    with pytest.raises(MaskValueError, match=r"odd\.png holds #010203 \(1 pixels\)"):
        codec.read(odd)


def test_a_mask_that_cannot_be_decoded_is_named(tmp_path):
    (tmp_path / "m.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(ImageReadError, match=r"m\.png"):
        MaskCodec.infer([tmp_path / "m.png"])


# --- for every codec ----------------------------------------------------------------------------


@st.composite
def codecs(draw, kinds=tuple(CodeKind)):
    """A codec of values or colours, with and without void, tolerant or strict."""
    kind = draw(st.sampled_from(kinds))
    code = st.integers(0, 0xFFFFFF) if kind is CodeKind.COLOUR else st.integers(-300, 70_000)
    codes = draw(st.lists(code, min_size=2, max_size=24, unique=True))
    n_void = draw(st.integers(0, min(2, len(codes) - 2)))
    void, codes = tuple(codes[:n_void]), tuple(codes[n_void:])
    unknown = draw(st.sampled_from(["error", "void", "foreground"][: 3 if len(codes) == 2 else 2]))
    names = tuple(f"class {i}" for i in range(len(codes)))
    return MaskCodec(names, codes, void, kind=kind, unknown=unknown)


def a_picture(codec, random, shape=(5, 6)):
    """Class indices and void where the codec has it, and the same as codes."""
    known = [*enumerate(codec.codes), *((VOID, code) for code in codec.void)]
    indices, codes = zip(*random.choices(known, k=shape[0] * shape[1]), strict=True)
    return np.array(indices).reshape(shape), np.array(codes).reshape(shape)


@given(codecs(), st.randoms(use_true_random=False))
def test_codes_become_the_indices_that_they_stand_for(codec, random):
    indices, codes = a_picture(codec, random)
    picture = np.stack([codes >> s & 255 for s in (16, 8, 0)], 2).astype(np.uint8)
    np.testing.assert_array_equal(
        codec.encode(codes if codec.kind is CodeKind.VALUE else picture), indices
    )


@given(codecs(kinds=(CodeKind.COLOUR,)), st.randoms(use_true_random=False))
def test_palettes_in_any_order_give_the_same_indices(codec, random):
    indices, codes = a_picture(codec, random)
    table = np.array(random.sample([*codec.codes, *codec.void], len(codec.codes + codec.void)))
    order = table.argsort()
    stored = order[np.searchsorted(table[order], codes)].astype(np.uint8)
    raw = RawMask(stored, CodeKind.COLOUR, table=np.resize(table, 256))
    np.testing.assert_array_equal(codec.encode(raw), indices)


@given(codecs(kinds=(CodeKind.COLOUR,)), st.randoms(use_true_random=False))
def test_what_a_colour_codec_draws_it_reads_again(codec, random):
    indices = np.array(random.choices(range(len(codec.codes)), k=30)).reshape(5, 6)
    np.testing.assert_array_equal(codec.encode(codec.decode(indices)), indices)


@given(codecs(), st.integers(-300, 70_000))
def test_a_code_that_is_not_listed_follows_the_rule_for_unknown_ones(codec, code):
    known = {*codec.codes, *codec.void}
    raw = RawMask(np.full((2, 2), code), codec.kind)
    if code not in known:
        expected = {"error": -1, "void": VOID, "foreground": 1}[codec.unknown]
        assert (codec.lookup(raw) == expected).all()


@given(codecs())
def test_json_makes_the_same_codec_again(codec):
    assert MaskCodec.from_dict(json.loads(json.dumps(codec.to_dict()))) == codec


@pytest.mark.parametrize(
    "codec",
    [
        MaskCodec(("a", "b"), (0, 255)),
        MaskCodec(("a", "b"), (0, 0x8000FF), (0xFFFFFF,), kind=CodeKind.COLOUR, palette="colour"),
        MaskCodec(("a", "b"), (0xFF000000, 0x00FF00), kind=CodeKind.COLOUR, nearest=True),
        MaskCodec(("a", "b"), (0, 1), palette="index"),
    ],
)
def test_json_of_older_versions_is_read(codec):
    old = codec.to_dict()
    assert MaskCodec.from_dict(json.loads(json.dumps(old))) == codec
    del old["others"], old["palette_files"]
    palette = "index" if codec.palette == "index" else None
    assert MaskCodec.from_dict(old) == replace(codec, palette=palette)


def test_a_codec_travels_to_other_processes():
    codec = MaskCodec(("a", "b"), (0, 255), unknown="void")
    codec.encode(grid(0, 255))
    assert pickle.loads(pickle.dumps(codec)) == codec


# --- telling about it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "encoding", "lines"),
    [
        (
            MaskCodec(("background", "foreground"), (0, 255)),
            "two values",
            ["binary, 2 classes by two values: 0 = background, 255 = foreground; no void"],
        ),
        (
            MaskCodec(("sky", "1", "road"), (0, 1, 2), (255,), unknown="void"),
            "class indices",
            [
                "multiclass, 3 classes by class indices: 0 = sky, 1, 2 = road; void: 255",
                "255 beside class indices does not count.",
                "Whatever else a mask holds is void.",
            ],
        ),
        (
            MaskCodec(("a", "b", "c"), (0, 7, 9), unknown="void"),
            "sparse values",
            [
                "multiclass, 3 classes by sparse values: 0 = a, 7 = b, 9 = c; no void",
                "Whatever else a mask holds is void.",
            ],
        ),
        (
            MaskCodec(("soil", "weed"), (0, 0xFF0000), kind=CodeKind.COLOUR, nearest=True),
            "colours",
            [
                "binary, 2 classes by colours: #000000 = soil, #ff0000 = weed; no void",
                "Lossy masks (JPEG): a pixel takes the nearest of these.",
            ],
        ),
    ],
)
def test_a_codec_tells_what_was_understood_and_how_to_say_otherwise(codec, encoding, lines):
    assert codec.encoding == encoding
    told = codec.describe().split("\n")
    assert told[:-1] == lines
    assert told[-1] == "Not so? Say it with the options classes, void or instances."


def test_palette_files_are_told_from_other_colours(tmp_path, save_palette):
    by_colour = save_palette(tmp_path / "a.png", grid(0, 1, 2), PALETTE)
    assert MaskCodec.infer([by_colour]).encoding == "palette"
    by_index = save_palette(tmp_path / "b.png", grid(0, 1, 2), {})
    assert MaskCodec.infer([by_index]).encoding == "palette indices"


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


# --- many masks -----------------------------------------------------------------------------------


def test_masks_beyond_the_sample_are_looked_at_for_codes_that_it_lacks(tmp_path):
    paths = []
    for i in range(9):
        mask = np.full((4, 5), 3 if i in (5, 7) else 1, np.uint8)
        mask[0] = 0
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(mask).save(paths[-1])
    stats, present = MaskSetStats.telling([MaskStats.read(path) for path in paths], sample=3)
    assert stats.codes == [0, 1, 3]
    assert {path: set(codes) for path, codes in present.items()} == {
        path: {0, 3} if i in (5, 7) else {0, 1} for i, path in enumerate(paths)
    }
    assert len(stats.present) == 4  # the sample, and one that showed something new


def test_a_colour_mask_beyond_the_sample_makes_all_codes_colours(tmp_path):
    paths = []
    for i in range(9):
        mask = np.zeros((4, 5, 3), np.uint8)
        mask[1:] = (255, 0, 0) if i == 5 else 255
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(mask if i % 2 else mask[..., 0]).save(paths[-1])
    stats, present = MaskSetStats.telling([MaskStats.read(path) for path in paths], sample=3)
    assert stats.kind is CodeKind.COLOUR
    assert set(present[paths[5]]) == {0, 0xFF0000}
    assert set(present[paths[4]]) == set(present[paths[7]]) == {0, 0xFFFFFF}
