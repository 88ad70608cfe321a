"""Where borders of masks are found among the edges of images."""

import cv2
import numpy as np
import pytest

from fastunet.scan.alignment import (
    common_offset,
    find_offset,
    grey_levels,
    inverted,
    is_misplaced,
    of_another,
)


def scene(draw_blobs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey levels and the mask of some discs."""
    image, mask = draw_blobs(np.random.default_rng(seed), (160, 200), 2, 1)
    return image[..., 0], mask


@pytest.mark.parametrize(("down", "right"), [(0, 0), (5, -4), (-7, 9)])
def test_a_shift_of_the_mask_is_measured(draw_blobs, down, right):
    grey, mask = scene(draw_blobs, 1)
    offset = find_offset(grey, np.roll(mask, (down, right), (0, 1)))
    assert abs(offset.y + down) <= 1
    assert abs(offset.x + right) <= 1
    assert offset.distance == max(abs(offset.y), abs(offset.x))
    assert offset.here <= offset.agreement


def test_an_empty_mask_a_flat_image_and_a_small_one_cannot_tell(draw_blobs):
    grey, mask = scene(draw_blobs, 1)
    assert find_offset(grey, np.zeros_like(mask)) is None
    assert find_offset(grey[:40, :40], mask[:40, :40]) is None
    flat = find_offset(np.full_like(grey, 7), mask)
    assert flat is None or flat.gain == 0


def test_large_images_are_looked_at_by_blocks(draw_blobs):
    grey, mask = scene(draw_blobs, 2)
    grey, mask = (cv2.resize(one, None, fx=4, fy=4) for one in (grey, mask))
    offset = find_offset(grey, np.roll(mask, 24, 0))
    assert offset.step == 3
    assert abs(offset.y + 24) <= 2 * offset.step


def test_a_whole_set_is_off_only_where_five_or_more_agree(draw_blobs):
    offsets = []
    for seed in range(8):
        grey, mask = scene(draw_blobs, seed)
        offsets.append(find_offset(grey, np.roll(mask, 6, 0)))
    y, x = common_offset(offsets)
    assert abs(y + 6) <= 1
    assert abs(x) <= 1
    assert common_offset(offsets[:4]) is None
    right = [find_offset(*scene(draw_blobs, seed)) for seed in range(8)]
    assert common_offset(right) is None
    assert is_misplaced(offsets[0], right)
    assert not is_misplaced(right[0], right)


def test_of_few_masks_none_is_of_another_image(draw_blobs):
    offsets = [find_offset(*scene(draw_blobs, seed)) for seed in range(9)]
    assert not of_another(offsets).any()


def test_a_mask_is_inverted_only_where_brightness_and_share_are_both_opposite():
    contrasts, shares = np.full(10, 2.0), np.full(10, 0.2)
    assert not inverted(contrasts, shares).any()
    contrasts[3] = -2
    assert not inverted(contrasts, shares).any()  # dark objects among bright ones
    shares[3] = 0.8
    assert np.flatnonzero(inverted(contrasts, shares)).tolist() == [3]
    assert not inverted(np.empty(0), np.empty(0)).any()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_any_image_has_grey_levels(channels):
    image = np.random.default_rng(0).random((4, 5, channels)).astype(np.float32)
    image[0, 0] = np.nan
    grey = grey_levels(image)
    assert grey.shape == (4, 5)
    assert np.isfinite(grey).all()
