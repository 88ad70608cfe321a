"""Masks of values: a bit that is set, and numbers of objects."""

import numpy as np
import pytest

from fastunet.errors import MaskValueError
from fastunet.masks.codec import MaskCodec

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("suffix", ["png", "npy"])
@pytest.mark.parametrize("value", [1, 255])
def test_a_bit_that_is_set_is_the_foreground_of_the_files_beside_it(
    tmp_path, suffix, value, discs, write
):
    bits = [write(tmp_path / f"bit{i}.{suffix}", discs(1) > 0) for i in range(3)]
    others = [write(tmp_path / f"{i}.png", discs(value)) for i in range(3)]
    codec = MaskCodec.infer([*bits, *others])
    assert codec.codes == (0, value)
    assert all(np.array_equal(codec.read(path), discs(1)) for path in [*bits, *others])


def test_a_bit_says_nothing_among_more_than_two_classes(tmp_path, discs, write):
    bit = write(tmp_path / "bit.png", discs(1) > 0)
    others = [write(tmp_path / f"{i}.png", discs(1, 2)) for i in range(3)]
    with pytest.raises(MaskValueError, match=r"1 file holds 0, 255 \(bit\.png\)"):
        MaskCodec.infer([bit, *others])
    with pytest.raises(MaskValueError, match=r"bit\.png is black and white .* of the 3 classes"):
        MaskCodec(("a", "b", "c"), (0, 1, 2)).read(bit)


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
def test_numbers_of_objects_are_asked_about_however_few(tmp_path, masks, write):
    paths = [write(tmp_path / f"{i}.png", mask) for i, mask in enumerate(masks)]
    with pytest.raises(MaskValueError, match=r"Pass instances=True .* if they are classes"):
        MaskCodec.infer(paths)
    codec = MaskCodec.infer(paths, instances=True)
    assert all(
        np.array_equal(codec.read(path), mask > 0) for path, mask in zip(paths, masks, strict=True)
    )


def test_objects_in_colours_of_their_own_are_asked_about(tmp_path, write):
    paths = []
    for i in range(4):
        colours = RNG.integers(40, 255, (13, 3)).astype(np.uint8)
        colours[0] = 0
        paths.append(write(tmp_path / f"{i}.png", colours[squares(12)]))
    with pytest.raises(MaskValueError, match=r"differ from file to file.* Pass instances=True"):
        MaskCodec.infer(paths)
