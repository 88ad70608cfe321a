"""Files decoded once."""

import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.io.channel_files import ChannelFiles
from fastunet.io.images import read_image
from fastunet.masks.codec import MaskCodec
from fastunet.masks.raw import read_mask
from fastunet.pairs.find import find_pairs
from fastunet.scan.decoded import DecodedFiles

ROOMY = 10**9


@pytest.fixture
def pair(write_pairs):
    return find_pairs(write_pairs(2))[0]


def test_what_was_decoded_is_not_read_again_while_there_is_room(pair):
    files = DecodedFiles(ROOMY)
    image, raw = files.image(pair.image_files), files.mask(pair.mask)
    pair.image.unlink()
    pair.mask.unlink()
    assert files.image(pair.image) is image
    assert files.mask(pair.mask) is raw
    assert files.held == image.nbytes + raw.codes.nbytes


def test_without_room_files_are_read_each_time(pair):
    files = DecodedFiles(read_image(pair.image).nbytes - 1)
    first = files.image(pair.image)
    assert files.image(pair.image) is not first
    assert files.held == 0


def test_what_is_forgotten_makes_room_and_a_copy_in_another_process_holds_nothing(pair):
    files = DecodedFiles(ROOMY)
    files.image(pair.image)
    files.mask(pair.mask)
    assert pickle.loads(pickle.dumps(files)).room == 0
    files.forget(pair)
    assert files.held == 0
    files.image(pair.image)
    files.clear()
    files.image(pair.image)
    assert files.held == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_kept_photo_as_stored_is_what_the_file_holds(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    files = DecodedFiles(ROOMY)
    np.testing.assert_array_equal(files.image(tmp_path / "a.png"), read_image(tmp_path / "a.png"))
    np.testing.assert_array_equal(files.image_as_stored(tmp_path / "a.png"), pixels)
    np.testing.assert_array_equal(DecodedFiles().image_as_stored(tmp_path / "a.png"), pixels)


def test_a_palette_file_is_kept_once_for_both_ways_of_reading_it(tmp_path):
    file = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3, "P")
    file.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    file.save(tmp_path / "m.png")
    files, path = DecodedFiles(ROOMY), tmp_path / "m.png"
    for palette in ("colour", "index"):
        kept, fresh = files.mask(path, palette), read_mask(path, palette)
        np.testing.assert_array_equal(kept.codes, fresh.codes)
        assert (kept.table is None) == (fresh.table is None)
    codec = MaskCodec(("a", "b", "c"), (0, 1, 2), palette="index")
    np.testing.assert_array_equal(files.class_indices(path, codec), codec.read(path))


def test_channels_in_several_files_are_one_image(tmp_path):
    for i in range(2):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((3, 4), i, np.uint8))
    files = DecodedFiles(ROOMY)
    several = ChannelFiles([tmp_path / "0.png", tmp_path / "1.png"])
    assert files.image(several).shape == (3, 4, 2)
    assert files.image(tmp_path / "0.png").shape == (3, 4, 1)
