"""Masks that were smoothed, and folders in which the files differ in their encoding."""

import re

import numpy as np
import pytest
from PIL import Image

from fastunet.errors import MaskValueError
from fastunet.masks.codec import MaskCodec

BLACK = (0, 0, 0)
RED = (255, 0, 0)


@pytest.fixture
def one_and_255(tmp_path, discs, write):
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


def test_each_answer_to_the_question_is_understood(one_and_255, discs):
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


def test_greys_that_no_file_of_colours_holds_are_a_question(tmp_path, discs, write, painted):
    paths = [write(tmp_path / f"c{i}.png", painted(discs(1), BLACK, RED)) for i in range(3)]
    paths += [write(tmp_path / f"g{i}.png", discs(255)) for i in range(3)]
    with pytest.raises(MaskValueError, match=re.escape("'foreground': ['#ff0000', '#ffffff']")):
        MaskCodec.infer(paths)
    codec = MaskCodec.infer(paths, {"background": "#000000", "cell": ["#ff0000", "#ffffff"]})
    assert all(np.array_equal(codec.read(path), discs(1)) for path in paths)


def test_palette_files_beside_files_of_their_indices_are_read_by_index(tmp_path, discs):
    paths = []
    for i in range(6):
        picture = Image.fromarray(discs(1, 2).astype(np.uint8), mode="P" if i % 2 else "L")
        if i % 2:
            picture.putpalette([*BLACK, 128, 0, 0, 0, 128, 0])
        picture.save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    codec = MaskCodec.infer(paths)
    assert all(np.array_equal(codec.read(path), discs(1, 2)) for path in paths)


def test_masks_that_were_enlarged_smoothly_are_refused(tmp_path, discs):
    paths = []
    for i in range(3):
        small = Image.fromarray(discs(255, side=64 + i).astype(np.uint8))
        big = small.resize((128, 128), Image.Resampling.BILINEAR)
        big.save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    with pytest.raises(MaskValueError, match="saved with smoothing"):
        MaskCodec.infer(paths)


def test_jpeg_masks_that_were_saved_again_as_png_are_refused(tmp_path, discs, jpegs):
    paths = []
    for path in jpegs(tmp_path, discs(255, side=96), quality=92):
        paths.append(path.with_suffix(".png"))
        Image.open(path).save(paths[-1])
    with pytest.raises(MaskValueError, match=r"0, 255 make up .*saved with smoothing"):
        MaskCodec.infer(paths)
