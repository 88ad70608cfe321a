"""Records of masks on disk."""

from dataclasses import fields

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.masks.statistics import MaskStats
from fastunet.pairs.find import find_pairs
from fastunet.scan import pair_stats
from fastunet.scan.decoded import DecodedFiles
from fastunet.scan.kept_stats import keep_stats, kept_stats


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def masks(write_pairs):
    return [pair.mask for pair in find_pairs(write_pairs(3, values=(0, 1, 2)))]


def write_palette(path):
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) % 3, "P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(path)


@pytest.mark.parametrize("palette", [False, True])
def test_a_record_says_what_the_file_says(masks, palette):
    if palette:
        write_palette(masks[0])
    stats = MaskStats.read(masks[0])
    assert kept_stats(masks[0]) is None
    keep_stats(stats)
    found = kept_stats(masks[0])
    for field in fields(stats):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(stats, field.name))
        assert type(getattr(found, field.name)) is type(getattr(stats, field.name))


def test_a_file_that_changed_has_no_record(masks):
    keep_stats(MaskStats.read(masks[0]))
    cv2.imwrite(str(masks[0]), np.zeros((9, 9), np.uint8))
    assert kept_stats(masks[0]) is None


def test_a_record_that_was_cut_anywhere_is_as_if_it_were_not_there(masks, cache):
    keep_stats(MaskStats.read(masks[0]))
    (record,) = cache.rglob("*.npz")
    whole = record.read_bytes()
    for length in range(0, len(whole), 37):
        record.write_bytes(whole[:length])
        assert kept_stats(masks[0]) is None


def test_data_too_large_for_memory_are_read_once_by_two_runs(masks, monkeypatch, cache):
    pairs = [pair_stats.examine_headers(pair) for pair in find_pairs(masks[0].parents[1])]
    first = pair_stats.mask_stats(pairs, DecodedFiles(room=1), progress=False)
    monkeypatch.setattr(DecodedFiles, "mask", None)  # nothing can be read
    again = pair_stats.mask_stats(pairs, DecodedFiles(room=1), progress=False)
    assert [one.codes.tolist() for one in again] == [one.codes.tolist() for one in first]


def test_of_data_that_fit_into_memory_nothing_is_written(masks, cache):
    pairs = [pair_stats.examine_headers(pair) for pair in find_pairs(masks[0].parents[1])]
    pair_stats.mask_stats(pairs, DecodedFiles(10**9), progress=False)
    assert not cache.exists()


def test_without_a_cache_folder_nothing_is_kept_and_nothing_fails(masks, cache):
    cache.write_text("a file where a folder was meant")
    keep_stats(MaskStats.read(masks[0]))
    assert kept_stats(masks[0]) is None
