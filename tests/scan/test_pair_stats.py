"""One look at the files of a pair."""

import cv2
import numpy as np
import pytest

from fastunet.pairs.find import find_pairs
from fastunet.scan.decoded import DecodedFiles
from fastunet.scan.pair_stats import examine, examine_headers, faults_of, mask_stats


@pytest.fixture
def pair(write_pairs):
    return find_pairs(write_pairs(3, values=(0, 1, 2)))[0]


def test_what_a_pair_holds_is_counted(pair):
    image, mask = cv2.imread(str(pair.image)), cv2.imread(str(pair.mask), 0)
    found = examine(pair)
    assert found.usable
    assert found.image.size == found.mask.size == mask.shape
    np.testing.assert_allclose(found.image.mean, image[..., ::-1].mean((0, 1)))
    np.testing.assert_allclose(found.image.std, image[..., ::-1].std((0, 1)))
    codes, counts = np.unique(mask, return_counts=True)
    np.testing.assert_array_equal(found.mask.stats.codes, codes)
    np.testing.assert_array_equal(found.mask.stats.counts, counts)


def test_headers_alone_tell_sizes_and_nothing_of_the_pixels(pair):
    found = examine_headers(pair)
    assert found.image.size == found.mask.size == examine(pair).mask.size
    assert found.mask.stats is None


def test_masks_that_were_counted_are_not_read_again(pair):
    known = examine(pair)
    pair.mask.unlink()
    assert mask_stats([known], progress=False) == [known.mask.stats]


def test_every_fault_of_a_pair_is_told_and_none_is_raised(pair):
    assert faults_of(pair) == ()
    cv2.imwrite(str(pair.mask), np.zeros((9, 9), np.uint8))
    assert [fault.kind for fault in faults_of(pair, DecodedFiles(10**9))] == ["size-mismatch"]
    pair.image.write_bytes(b"")
    pair.mask.unlink()
    assert [fault.kind for fault in faults_of(pair)] == ["empty-file", "unreadable"]
    assert not examine(pair).usable
