"""Any mixture of encodings is read rightly, asked about or refused; never as something else.

A folder of masks is written in one to three encodings of the same classes, file by file. Where a
codec comes of it, each class has one index in all files, and each index one class.

Left out is what masks alone cannot show: foreground and background exchanged in some of the files,
files of more than two classes that count from 0 beside files that count from 1, and files that are
each stretched to 0..255 where all values together are even steps of it.
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fastunet.errors import MaskValueError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec

COLOURS = np.array(
    [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)], np.uint8
)
OTHER_COLOURS = np.array(
    [(0, 0, 0), (128, 64, 0), (0, 128, 128), (64, 0, 128), (200, 200, 0), (90, 160, 250)], np.uint8
)


def indices(mask, n):
    return mask, "png"


def sixteen_bit_indices(mask, n):
    return mask.astype(np.uint16), "tif"


def floats(mask, n):
    return mask.astype(np.float32), "npy"


def from_one(mask, n):
    return (mask + 1 if n == 2 else mask), "png"


def spread(mask, n):
    return (mask.astype(int) * 255 // (n - 1)).astype(np.uint8), "png"


def spread_over_sixteen_bit(mask, n):
    return (mask.astype(int) * 65535 // (n - 1)).astype(np.uint16), "png"


def one_bit(mask, n):
    return (mask > 0) if n == 2 else mask, "png"


def booleans(mask, n):
    return (mask > 0) if n == 2 else mask, "npy"


def colours(mask, n):
    return COLOURS[mask], "png"


def other_colours(mask, n):
    return OTHER_COLOURS[mask], "png"


def palette(mask, n):
    picture = Image.fromarray(mask, mode="P")
    picture.putpalette(COLOURS.ravel().tolist())
    return picture, "png"


def palette_in_another_order(mask, n):
    picture = Image.fromarray((n - 1 - mask).astype(np.uint8), mode="P")
    picture.putpalette(COLOURS[:n][::-1].ravel().tolist())
    return picture, "png"


def cut_out(mask, n):
    return np.dstack([COLOURS[mask], np.where(mask > 0, 255, 0).astype(np.uint8)]), "png"


def cut_out_in_black(mask, n):
    shown = COLOURS[mask if n > 2 else np.maximum(mask, 1) - 1]
    return np.dstack([shown, np.where(mask > 0, 255, 0).astype(np.uint8)]), "png"


def one_hot(mask, n):
    return np.eye(n, dtype=np.uint8)[mask], "npy"


def jpeg_greys(mask, n):
    return spread(mask, n)[0], "jpg"


def jpeg_colours(mask, n):
    return COLOURS[mask], "jpg"


WRITERS = [
    indices,
    sixteen_bit_indices,
    floats,
    from_one,
    spread,
    spread_over_sixteen_bit,
    one_bit,
    booleans,
    colours,
    other_colours,
    palette,
    palette_in_another_order,
    cut_out,
    cut_out_in_black,
    one_hot,
    jpeg_greys,
    jpeg_colours,
]


def scene(rng, n, side):
    """Classes in rectangles on the background; each is seen somewhere, not each in every file."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(2, 7))):
        y, x = rng.integers(0, side - 16, 2)
        h, w = rng.integers(12, side // 2, 2)
        mask[y : y + h, x : x + w] = rng.integers(1, n)
    mask[:12, -12:] = 0
    return mask


def save(folder, name, content, suffix):
    path = folder / f"{name}.{suffix}"
    if suffix == "npy":
        np.save(path, content)
    elif isinstance(content, Image.Image):
        content.save(path)
    elif content.dtype == np.uint16:
        cv2.imwrite(str(path), content)
    else:
        Image.fromarray(content).save(path, **({"quality": 85} if suffix == "jpg" else {}))
    return path


def check(seed, n, writers):
    rng = np.random.default_rng(seed)
    side = int(rng.integers(48, 100))
    with tempfile.TemporaryDirectory() as folder:
        truths, paths = [], []
        for i in range(int(rng.integers(2 * len(writers), 4 * len(writers) + 2))):
            truths.append(scene(rng, n, side))
            content, suffix = writers[i % len(writers)](truths[-1], n)
            paths.append(save(Path(folder), f"{i:02d}", content, suffix))
        try:
            codec = MaskCodec.infer(paths)
        except MaskValueError:
            return "refused"
        lossy = any(path.suffix == ".jpg" for path in paths)
        pixels = np.zeros((n, 256), int)
        for path, truth in zip(paths, truths, strict=True):
            read = codec.read(path)
            np.add.at(pixels, (truth.ravel(), read.ravel()), 1)
    told = f"{[w.__name__ for w in writers]}, {n} classes: {codec.describe()}\n{pixels.nonzero()}"
    allowed = 40 + 0.1 * pixels.sum(axis=1) if lossy else np.zeros(n)  # JPEG blurs borders
    index = pixels.argmax(axis=1)
    held = pixels.sum(axis=1) > 0
    wrong = pixels.sum(axis=1) - pixels.max(axis=1)
    assert (wrong <= allowed).all(), told
    assert len(set(index[held])) == held.sum(), told
    assert VOID not in index[held], told
    return "read"


MIXTURES = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(2, 5),
    st.lists(st.sampled_from(WRITERS), min_size=1, max_size=3, unique=True),
)
_HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_one_encoding_alone_is_read(writer, n):
    assert check(3, n, [writer]) == "read"


@settings(max_examples=60, deadline=None, suppress_health_check=_HEALTH, derandomize=True)
@given(MIXTURES)
def test_a_mixture_of_encodings_is_never_read_as_something_else(mixture):
    check(*mixture)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=_HEALTH)
@given(MIXTURES)
def test_many_mixtures_of_encodings_are_never_read_as_something_else(mixture):
    check(*mixture)
