"""Masks on disk: each fixture is a function."""

import numpy as np
import pytest
from PIL import Image


def _save(path, array, **kwargs):
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **kwargs)
    return path


def _save_palette(path, indices, palette):
    """A palette file whose index i has the colour palette[i]."""
    image = Image.fromarray(np.asarray(indices, np.uint8), mode="P")
    flat = np.zeros((256, 3), np.uint8)
    for index, colour in palette.items():
        flat[index] = colour
    image.putpalette(flat.ravel().tolist())
    image.save(path)
    return path


def _saved(path, array, **options):
    """An array as .npy or, by tifffile, as TIFF."""
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        import tifffile

        tifffile.imwrite(path, array, photometric="minisblack", **options)
    return path


@pytest.fixture
def save():
    return _save


@pytest.fixture
def save_palette():
    return _save_palette


@pytest.fixture
def saved():
    return _saved
