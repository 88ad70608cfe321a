"""A pair of files as the arrays that the network needs."""

import cv2
import numpy as np
import pytest

from fastunet.data import reader as reader_module
from fastunet.data.reader import PairReader, read_pair
from fastunet.errors import ImageReadError, OutputError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.pairs.split import split_pairs
from fastunet.preprocess import Preprocess


@pytest.fixture
def parts(write_pairs):
    return split_pairs(find_pairs(write_pairs(4, size=(90, 40))), valid_pct=0.5)


def make_reader():
    return PairReader(MaskCodec(("off", "on"), (0, 255)), Preprocess((32, 32)))


def test_training_pairs_have_room_to_zoom_and_validation_pairs_the_networks_size(parts):
    reader = make_reader()
    image, mask = reader.read(parts["train"][0])
    assert image.shape == (48, 40, 3)
    assert mask.shape == (48, 40)
    image, mask = reader.read(parts["valid"][0])
    assert image.shape == (32, 32, 3)
    assert mask.shape == (32, 32)


def test_what_is_kept_in_memory_is_what_is_read_from_disk(parts):
    pairs = [*parts["train"], *parts["valid"]]
    kept, fresh = make_reader(), make_reader()
    assert kept.keep(pairs, progress=False)
    for pair in pairs:
        for ours, theirs in zip(kept.read(pair), fresh.read(pair), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert kept.read(pair) is kept.read(pair)


def test_classes_are_counted_in_the_masks_without_void(write_pairs):
    pairs = find_pairs(write_pairs(4, values=(0, 1, 9)))
    reader = PairReader(MaskCodec(("soil", "crop"), (0, 1), void=(9,)), Preprocess((40, 48)))
    masks = [cv2.imread(str(pair.mask), 0) for pair in pairs]  # at most 1.5 times as large: as is
    expected = [[(mask == value).sum() for value in (0, 1)] for mask in masks]
    np.testing.assert_array_equal(reader.class_counts(pairs), np.sum(expected, axis=0))
    np.testing.assert_array_equal(reader.class_counts(pairs, sample=1), expected[0])


def test_what_does_not_fit_is_read_when_it_is_needed(parts, monkeypatch):
    monkeypatch.setattr(reader_module, "room_in_memory", lambda *_: 10_000)  # one of the two
    reader = make_reader()
    with pytest.warns(UserWarning, match="1 of 2 pairs fit"):
        assert not reader.keep(parts["train"], "ram", progress=False)
    for pair in parts["train"]:
        assert reader.read(pair)[0].shape == (48, 40, 3)


def test_what_does_not_fit_in_memory_goes_to_disk_and_is_decoded_once(parts, monkeypatch, tmp_path):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(reader_module, "room_in_memory", lambda *_: 0)
    pairs = parts["train"]
    assert make_reader().keep(pairs, progress=False)
    again = make_reader()
    monkeypatch.setattr(again, "_load", pytest.fail)
    assert again.keep(pairs, progress=False)
    np.testing.assert_array_equal(again.read(pairs[0])[0], make_reader().read(pairs[0])[0])


def test_a_cache_that_cannot_be_made_is_only_missed_where_it_was_asked_for(
    parts, monkeypatch, tmp_path
):
    (tmp_path / "afile").touch()
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path / "afile"))
    monkeypatch.setattr(reader_module, "room_in_memory", lambda *_: 0)
    with pytest.warns(UserWarning, match=r"FASTUNET_CACHE.*decoded each time"):
        assert not make_reader().keep(parts["train"], progress=False)
    with pytest.raises(OutputError, match="FASTUNET_CACHE"):
        make_reader().keep(parts["train"], "disk", progress=False)


def test_a_changed_file_is_decoded_again(parts, monkeypatch, tmp_path):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path / "cache"))
    pair = parts["train"][0]
    make_reader().keep([pair], "disk", progress=False)
    cv2.imwrite(str(pair.image), np.full((90, 40, 3), 9, np.uint8))
    reader = make_reader()
    reader.keep([pair], "disk", progress=False)
    assert (reader.read(pair)[0] == 9).all()


@pytest.mark.parametrize("while_it_is_used", [False, True])
def test_a_damaged_entry_is_decoded_again(parts, monkeypatch, tmp_path, while_it_is_used):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path / "cache"))
    pair = parts["train"][0]
    reader = make_reader()
    reader.keep([pair], "disk", progress=False)
    for file in (tmp_path / "cache").rglob("*.npy"):
        data = bytearray(file.read_bytes())
        data[-100] ^= 255
        file.write_bytes(data)
    if not while_it_is_used:
        reader = make_reader()
        assert reader.keep([pair], "disk", progress=False)
    for ours, theirs in zip(reader.read(pair), make_reader().read(pair), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_tiles_cover_an_image_and_mark_what_is_not_their_own(parts):
    codec = MaskCodec(("off", "on"), (0, 255))
    reader = PairReader(codec, Preprocess((32, 32), policy="patch"))
    pair = parts["valid"][0]
    tiles = reader.tiles(pair)
    assert len(tiles) == 6  # of 90x40 pixels
    image, mask = zip(*map(reader.read, tiles), strict=True)
    assert {i.shape for i in image} == {(32, 32, 3)}
    assert sum((m != VOID).sum() for m in mask) == 90 * 40
    reader.keep([pair], progress=False)
    assert reader.tiles(pair) == tiles


def test_a_picture_with_pixels_that_are_no_numbers_is_named(tmp_path, write_pairs):
    root = write_pairs(3)
    pixels = np.random.default_rng(0).random((40, 48, 3), np.float32)
    pixels[7, 8, 2] = np.inf
    np.save(root / "images" / "01.npy", pixels)
    (root / "images" / "01.png").unlink()
    pairs = find_pairs(root)
    for read in (make_reader().read, lambda pair: read_pair(pair, make_reader().codec)):
        with pytest.raises(ImageReadError, match=r"01\.npy: NaN or infinity in 1 of .*row 7"):
            read(pairs[1])
    with pytest.raises(ImageReadError, match=r"01\.npy: NaN"):
        make_reader().keep(list(pairs), progress=False)
