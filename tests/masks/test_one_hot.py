"""Masks as stacks of bands, one per class."""

import numpy as np
import pytest

from fastunet.errors import MaskValueError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.masks.raw import read_mask

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 5, (20, 30))
ONE_HOT = np.eye(5)[CLASSES]


@pytest.mark.parametrize("scale", [1, 255, True])
@pytest.mark.parametrize("axis", [0, 2])
def test_one_band_per_class_is_read_as_the_band_that_is_set(tmp_path, scale, axis, saved):
    stack = np.moveaxis(ONE_HOT.astype(bool if scale is True else np.uint8) * scale, 2, axis)
    path = saved(tmp_path / "m.npy", stack)
    raw = read_mask(path)
    assert raw.bands == 5
    np.testing.assert_array_equal(raw.codes, CLASSES)


@pytest.mark.parametrize(
    ("axis", "options"),
    [(0, {}), (0, {"planarconfig": "separate"}), (2, {"planarconfig": "contig"})],
    ids=["pages", "planar", "contiguous"],
)
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_bands_of_a_tiff_are_read_however_they_are_stored(tmp_path, axis, options, n, saved):
    classes = CLASSES.clip(max=n - 1)
    stack = np.moveaxis(np.eye(n, dtype=np.uint8)[classes], 2, axis)
    raw = read_mask(saved(tmp_path / "m.tif", stack, **options))
    assert raw.bands == n
    np.testing.assert_array_equal(raw.codes, classes)


def test_a_pixel_that_no_band_claims_has_the_value_of_void(tmp_path, saved):
    stack = ONE_HOT.copy()
    stack[:2] = 0
    codes = read_mask(saved(tmp_path / "m.npy", stack)).codes
    assert (codes[:2] == 255).all()
    np.testing.assert_array_equal(codes[2:], CLASSES[2:])


def test_every_band_is_a_class_and_unclaimed_pixels_are_void(tmp_path):
    stack = np.zeros((6, 20, 30), np.uint8)
    stack[0, :10] = stack[4, 10:, 3:] = 255
    np.save(tmp_path / "m.npy", stack)
    codec = MaskCodec.infer([tmp_path / "m.npy"])
    assert (len(codec.classes), codec.void, codec.encoding) == (6, (255,), "class indices")
    indices = codec.read(tmp_path / "m.npy")
    assert (indices[:10] == 0).all()
    assert (indices[10:, 3:] == 4).all()
    assert (indices[10:, :3] == VOID).all()


def test_bands_may_be_named_in_a_table(tmp_path):
    np.save(tmp_path / "m.npy", np.eye(6)[np.tile([1, 4], (20, 15))])
    codec = MaskCodec.infer([tmp_path / "m.npy"], {"road": 1, "sky": 4})
    np.testing.assert_array_equal(codec.read(tmp_path / "m.npy"), np.tile([0, 1], (20, 15)))


def test_stacks_of_different_depth_are_refused(tmp_path):
    for n in (5, 6):
        np.save(tmp_path / f"{n}.npy", np.eye(n)[np.zeros((20, 30), int)])
    with pytest.raises(MaskValueError, match=r"5\.npy is a stack of 5 .*6\.npy a stack of 6"):
        MaskCodec.infer(sorted(tmp_path.iterdir()))
