"""Masks on disk, for the tests of encodings: each fixture is a function."""

import numpy as np
import pytest
from PIL import Image

WHITE = (255, 255, 255)


def _discs(*values, side=48):
    """A picture of 0 with a square of each of the values."""
    mask = np.zeros((side, side), np.uint16)
    step = side // max(1, len(values))
    for i, value in enumerate(values):
        mask[4 : step - 1, i * step + 2 : (i + 1) * step - 2] = value
    return mask


def _write(path, array, **kwargs):
    array = np.asarray(array)
    if path.suffix == ".npy":
        np.save(path, array)
    elif array.dtype == bool:
        Image.fromarray(array).save(path)
    else:
        Image.fromarray(array.astype(np.uint8)).save(path, **kwargs)
    return path


def _painted(mask, *colours):
    return np.array(colours, np.uint8)[mask]


def _cut_out(mask, *colours):
    """The colours of the classes above 0; what is 0 is transparent."""
    rgba = np.dstack([_painted(mask, WHITE, *colours), np.where(mask > 0, 255, 0)])
    return rgba.astype(np.uint8)


def _jpegs(folder, mask, *colours, n=6, quality=75):
    paths = []
    for i in range(n):
        moved = np.roll(mask, (5 * i, 3 * i), (0, 1))
        array = _painted(moved, *colours) if len(colours) and np.ndim(colours[0]) else moved
        paths.append(_write(folder / f"{i}.jpg", array, quality=quality))
    return paths


@pytest.fixture
def discs():
    return _discs


@pytest.fixture
def write():
    return _write


@pytest.fixture
def painted():
    return _painted


@pytest.fixture
def cut_out():
    return _cut_out


@pytest.fixture
def jpegs():
    return _jpegs
