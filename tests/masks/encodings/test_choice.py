"""Which encoding masks have: taken where one explains them, asked where two do, refused else."""

import re

import numpy as np
import pytest
from PIL import Image

from fastunet.errors import MaskValueError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.masks.encodings.choice import ENCODINGS, understand
from fastunet.masks.encodings.reading import UserStatement
from fastunet.masks.statistics import MaskSetStats

RNG = np.random.default_rng(0)
BLACK, RED, GREEN, WHITE = (0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 255)


def discs(*values, side=48):
    """A picture of 0 with a square of each of the values."""
    mask = np.zeros((side, side), np.uint16)
    step = side // max(1, len(values))
    for i, value in enumerate(values):
        mask[4 : step - 1, i * step + 2 : (i + 1) * step - 2] = value
    return mask


def write(path, array, **kwargs):
    array = np.asarray(array)
    if path.suffix == ".npy":
        np.save(path, array)
    elif array.dtype == bool:
        Image.fromarray(array).save(path)
    else:
        Image.fromarray(array.astype(np.uint8)).save(path, **kwargs)
    return path


def painted(mask, *colours):
    return np.array(colours, np.uint8)[mask]


# --- two encodings of one class -------------------------------------------------------------------


@pytest.fixture
def one_and_255(tmp_path):
    return [write(tmp_path / f"{i}.png", discs(1 if i % 2 else 255)) for i in range(8)]


def test_one_and_255_that_never_meet_are_a_question_with_both_answers(one_and_255):
    with pytest.raises(MaskValueError) as asked:
        MaskCodec.infer(one_and_255)
    for part in (
        "can be read in more than one way",
        "4 files hold 0, 255 (0.png",
        "4 files hold 0, 1 (1.png",
        "pass void=255",
        "pass classes={'background': 0, 'foreground': [1, 255]}",
    ):
        assert part in str(asked.value)


def test_each_answer_to_the_question_is_understood(one_and_255):
    truth = discs(1)
    both = MaskCodec.infer(one_and_255, {"background": 0, "foreground": [1, 255]})
    assert all(np.array_equal(both.read(path), truth) for path in one_and_255)
    assert both.encoding == "several encodings"
    assert "0 = background, 1 or 255 = foreground" in both.describe()
    assert MaskCodec.from_dict(both.to_dict()) == both
    less = MaskCodec.infer(one_and_255, {"background": 0, "foreground": [1, 255]}, void=255)
    assert (less.codes, less.void, less.aliases) == ((0, 1), (255,), ())
    void = MaskCodec.infer(one_and_255, void=255)
    assert (void.codes, void.void) == ((0, 1), (255,))


def test_one_and_255_that_meet_in_a_file_are_a_class_and_void(tmp_path):
    paths = [write(tmp_path / f"{i}.png", discs(1, 255) if i else discs(1)) for i in range(4)]
    assert MaskCodec.infer(paths).void == (255,)


@pytest.mark.parametrize("suffix", ["png", "npy"])
@pytest.mark.parametrize("value", [1, 255])
def test_a_bit_that_is_set_is_the_foreground_of_the_files_beside_it(tmp_path, suffix, value):
    bits = [write(tmp_path / f"bit{i}.{suffix}", discs(1) > 0) for i in range(3)]
    others = [write(tmp_path / f"{i}.png", discs(value)) for i in range(3)]
    codec = MaskCodec.infer([*bits, *others])
    assert codec.codes == (0, value)
    assert all(np.array_equal(codec.read(path), discs(1)) for path in [*bits, *others])


def test_a_bit_says_nothing_among_more_than_two_classes(tmp_path):
    bit = write(tmp_path / "bit.png", discs(1) > 0)
    others = [write(tmp_path / f"{i}.png", discs(1, 2)) for i in range(3)]
    with pytest.raises(MaskValueError, match=r"1 file holds 0, 255 \(bit\.png\)"):
        MaskCodec.infer([bit, *others])
    with pytest.raises(MaskValueError, match=r"bit\.png is black and white .* of the 3 classes"):
        MaskCodec(("a", "b", "c"), (0, 1, 2)).read(bit)


@pytest.mark.parametrize(
    ("values", "asks"),
    [
        ([(1, 2), (127, 254)], True),  # indices, and the same drawn to be seen
        ([(1, 2), (127,)], True),  # one class may be missing
        ([(255,), (128,)], True),
        ([(1,), (2,), (3,)], False),  # indices, one class per image
        ([(50,), (100,), (150,)], False),
        ([(50, 100), (100, 150)], False),  # one file holds what the groups share
        ([(255,), (127, 255), (85, 170, 255)], True),  # each file stretched to its own range
        ([(127, 255), (255,)], False),  # a class is missing from some files
    ],
)
def test_values_that_never_meet_and_have_no_order_are_a_question(tmp_path, values, asks):
    masks = [discs(*held) for held in values for _ in range(3)]
    paths = [write(tmp_path / f"{i:02d}.png", mask) for i, mask in enumerate(masks)]
    if asks:
        with pytest.raises(MaskValueError, match="Which is right"):
            MaskCodec.infer(paths)
    every = sorted({0, *(value for held in values for value in held)})
    named = MaskCodec.infer(paths, [f"class {value}" for value in every])  # the answer
    assert named.codes == tuple(every)


def test_files_that_count_from_zero_and_from_one_are_a_question(tmp_path):
    paths = [write(tmp_path / f"{i}.png", discs(1, 2) + i % 2) for i in range(6)]
    with pytest.raises(MaskValueError, match="are not of one kind"):
        MaskCodec.infer(paths)


def test_greys_that_no_file_of_colours_holds_are_a_question(tmp_path):
    paths = [write(tmp_path / f"c{i}.png", painted(discs(1), BLACK, RED)) for i in range(3)]
    paths += [write(tmp_path / f"g{i}.png", discs(255)) for i in range(3)]
    with pytest.raises(MaskValueError, match=re.escape("'foreground': ['#ff0000', '#ffffff']")):
        MaskCodec.infer(paths)
    codec = MaskCodec.infer(paths, {"background": "#000000", "cell": ["#ff0000", "#ffffff"]})
    assert all(np.array_equal(codec.read(path), discs(1)) for path in paths)


def test_palette_files_beside_files_of_their_indices_are_read_by_index(tmp_path):
    paths = []
    for i in range(6):
        picture = Image.fromarray(discs(1, 2).astype(np.uint8), mode="P" if i % 2 else "L")
        if i % 2:
            picture.putpalette([*BLACK, 128, 0, 0, 0, 128, 0])
        picture.save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    codec = MaskCodec.infer(paths)
    assert all(np.array_equal(codec.read(path), discs(1, 2)) for path in paths)


# --- transparency ---------------------------------------------------------------------------------


def cut_out(mask, *colours):
    """The colours of the classes above 0; what is 0 is transparent."""
    rgba = np.dstack([painted(mask, WHITE, *colours), np.where(mask > 0, 255, 0)])
    return rgba.astype(np.uint8)


@pytest.mark.parametrize("colour", [BLACK, RED, WHITE])
def test_what_is_transparent_around_an_object_is_the_background(tmp_path, colour):
    paths = [write(tmp_path / f"{i}.png", cut_out(discs(1), colour)) for i in range(3)]
    codec = MaskCodec.infer(paths)
    assert codec.classes == ("background", "foreground")
    np.testing.assert_array_equal(codec.read(paths[0]), discs(1))
    assert "What is transparent is background." in codec.describe()
    np.testing.assert_array_equal(codec.to_original(codec.read(paths[0]))[..., 3] > 0, discs(1) > 0)


def test_transparency_beside_black_and_colours_is_a_question_with_both_answers(tmp_path):
    paths = [write(tmp_path / f"{i}.png", cut_out(discs(1, 2), BLACK, RED)) for i in range(3)]
    with pytest.raises(MaskValueError, match="what is transparent is the background, and black is"):
        MaskCodec.infer(paths)
    void = MaskCodec.infer(paths, void="#00000000")
    assert (void.read(paths[0]) == np.where(discs(1, 2) == 0, VOID, discs(1, 2) - 1)).all()
    table = {"background": "#00000000", "leaf": "#000000", "stem": "#ff0000"}
    np.testing.assert_array_equal(MaskCodec.infer(paths, table).read(paths[0]), discs(1, 2))


# --- JPEG and smoothing ---------------------------------------------------------------------------


def jpegs(folder, mask, *colours, n=6, quality=75):
    paths = []
    for i in range(n):
        moved = np.roll(mask, (5 * i, 3 * i), (0, 1))
        array = painted(moved, *colours) if len(colours) and np.ndim(colours[0]) else moved
        paths.append(write(folder / f"{i}.jpg", array, quality=quality))
    return paths


def test_a_rare_class_of_jpeg_masks_is_a_class(tmp_path):
    paths = jpegs(tmp_path, discs(128, side=160))
    rare = discs(128, side=160)
    rare[140:152, 100:112] = 255  # 144 of 25,600 pixels, in one of six files
    write(tmp_path / "0.jpg", rare, quality=75)
    codec = MaskCodec.infer(paths)
    assert codec.codes == (0, 128, 255)
    assert 100 < (codec.read(paths[0]) == 2).sum() < 200


def test_ringing_along_straight_edges_makes_no_classes(tmp_path):
    mask = np.zeros((96, 96), np.uint8)
    for i in range(4):
        mask[:, 24 * i : 24 * i + 24] = i
    paths = jpegs(tmp_path, mask, BLACK, RED, GREEN, (0, 0, 255))
    assert len(MaskCodec.infer(paths).classes) == 4


def test_void_of_jpeg_masks_is_the_nearest_of_their_colours(tmp_path):
    paths = jpegs(tmp_path, discs(1, 2, side=96), BLACK, RED, GREEN)
    codec = MaskCodec.infer(paths, void="#ff0000")
    assert len(codec.classes) == 2
    truth = discs(1, 2, side=96)
    assert (codec.read(paths[0])[truth == 1] == VOID).mean() > 0.9
    for far in ("#8080ff", "#e00000"):
        with pytest.raises(MaskValueError, match=f"void='{far}' is not near any"):
            MaskCodec.infer(paths, void=far)


def test_a_thin_class_of_jpeg_masks_is_asked_about(tmp_path):
    mask = discs(1, side=96)
    mask[60:90, ::12] = 2  # lines of one pixel
    paths = jpegs(tmp_path, mask, BLACK, RED, (0, 255, 255))
    with pytest.raises(MaskValueError, match="a rare or thin class, or a blurred edge"):
        MaskCodec.infer(paths)


def test_photos_as_jpeg_are_no_masks(tmp_path):
    paths = []
    for i in range(3):
        noise = RNG.normal(128, 40, (64, 64, 3)).clip(0, 255)
        paths.append(write(tmp_path / f"{i}.jpg", noise, quality=80))
    with pytest.raises(MaskValueError, match="they look like pictures"):
        MaskCodec.infer(paths)


def test_jpeg_rules_hold_for_jpeg_files_only(tmp_path):
    paths = jpegs(tmp_path, discs(128, side=96))
    codec = MaskCodec.infer([*paths, write(tmp_path / "a.png", discs(128, side=96))])
    with pytest.raises(MaskValueError, match=r"odd\.png holds 77"):
        codec.read(write(tmp_path / "odd.png", discs(77)))


def test_masks_that_were_enlarged_smoothly_are_refused(tmp_path):
    paths = []
    for i in range(3):
        small = Image.fromarray(discs(255, side=64 + i).astype(np.uint8))
        big = small.resize((128, 128), Image.Resampling.BILINEAR)
        big.save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    with pytest.raises(MaskValueError, match="saved with smoothing"):
        MaskCodec.infer(paths)


def test_jpeg_masks_that_were_saved_again_as_png_are_refused(tmp_path):
    paths = []
    for path in jpegs(tmp_path, discs(255, side=96), quality=92):
        paths.append(path.with_suffix(".png"))
        Image.open(path).save(paths[-1])
    with pytest.raises(MaskValueError, match=r"0, 255 make up .*saved with smoothing"):
        MaskCodec.infer(paths)


# --- objects --------------------------------------------------------------------------------------


def squares(n, first=1):
    """`n` squares in rows, numbered in that order."""
    mask = np.zeros((64, 64), np.uint16)
    for i in range(n):
        y, x = divmod(i, 4)
        mask[16 * y + 2 : 16 * y + 12, 16 * x + 2 : 16 * x + 12] = first + i
    return mask


@pytest.mark.parametrize(
    "masks",
    [
        [squares(n) for n in (3, 5, 4, 5)],  # few, but in the order of their rows
        [squares(n) for n in (3, 9, 5, 12)],  # far
        [squares(n, first) for n, first in ((4, 1), (4, 5), (4, 9), (4, 13))],  # on through all
    ],
    ids=["rows", "far", "through all files"],
)
def test_numbers_of_objects_are_asked_about_however_few(tmp_path, masks):
    paths = [write(tmp_path / f"{i}.png", mask) for i, mask in enumerate(masks)]
    with pytest.raises(MaskValueError, match=r"Pass instances=True .* if they are classes"):
        MaskCodec.infer(paths)
    codec = MaskCodec.infer(paths, instances=True)
    assert all(
        np.array_equal(codec.read(path), mask > 0) for path, mask in zip(paths, masks, strict=True)
    )


def test_objects_in_colours_of_their_own_are_asked_about(tmp_path):
    paths = []
    for i in range(4):
        colours = RNG.integers(40, 255, (13, 3)).astype(np.uint8)
        colours[0] = 0
        paths.append(write(tmp_path / f"{i}.png", colours[squares(12)]))
    with pytest.raises(MaskValueError, match=r"differ from file to file.* Pass instances=True"):
        MaskCodec.infer(paths)


# --- the choice -----------------------------------------------------------------------------------


def test_every_encoding_says_what_it_is_and_has_a_fit(tmp_path):
    every_stats = [
        MaskSetStats.of([write(tmp_path / "a.png", discs(1, 2))], progress=False),
        MaskSetStats.of([write(tmp_path / "b.png", cut_out(discs(1), RED))], progress=False),
    ]
    for encoding in ENCODINGS:
        assert encoding.__doc__
        for stats in every_stats:
            reading = encoding(stats, UserStatement())
            assert reading is None or (0 < reading.fit <= 1 and reading.meaning)
    assert understand(every_stats[0], UserStatement()).stats.codes == [0, 1, 2]
