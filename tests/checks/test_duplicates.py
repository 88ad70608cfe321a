"""Which pictures look the same, and which are only alike."""

import cv2
import numpy as np

from fastunet.checks.duplicates import groups_of, near_duplicates
from fastunet.scan.thumbnails import thumbnail


def test_dark_pictures_and_equal_lighting_are_no_duplicates():
    """400 dark fields with some stars under one vignette: alike to the eye, but not copies."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    light = 12 * (1 - 0.4 * (x**2 + y**2))
    thumbs = []
    for _ in range(400):
        picture = light + rng.normal(0, 1, light.shape)
        for py, px in rng.integers(4, 124, (12, 2)):
            picture[py - 3 : py + 3, px - 3 : px + 3] += 40
        thumbs.append(thumbnail(picture.astype(np.float32)))
    assert near_duplicates(thumbs) == []
    empty = [thumbnail((light + rng.normal(0, 1, light.shape)).astype(np.float32)) for _ in thumbs]
    assert near_duplicates(empty) == []


def test_retinas_are_not_copies_of_each_other_but_a_copy_among_them_is_found(
    retina_and_vessels, changes
):
    pictures = [retina_and_vessels(seed)[0] for seed in range(40)]
    assert near_duplicates([thumbnail(picture) for picture in pictures]) == []
    changed = [changes[name](pictures[3]) for name in ("brighter", "compressed", "noisy")]
    changed.append(cv2.resize(pictures[3], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    for copy in changed:
        grey = copy if copy.ndim == 2 else cv2.cvtColor(copy, cv2.COLOR_BGR2GRAY)
        thumbs = [thumbnail(picture) for picture in [*pictures, grey]]
        assert near_duplicates(thumbs) == [(3, 40)]


def test_a_few_copies_of_every_picture_are_found(retina_and_vessels, changes):
    """Here a picture usually has copies, so that what is usual says nothing."""
    pictures = [retina_and_vessels(seed)[0] for seed in range(4)]
    pictures = [changes["compressed"](picture)[..., 0] for picture in pictures] + pictures
    thumbs = [thumbnail(picture) for picture in pictures]
    assert near_duplicates(thumbs) == [(i, i + 4) for i in range(4)]


def test_near_duplicates_are_those_of_a_comparison_of_all_with_all():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (60, 9, 9), dtype=np.uint8)
    pictures = [cv2.resize(picture, (64, 64)) for picture in coarse]
    thumbs = [thumbnail(picture) for picture in [*pictures, *pictures[10:20]]]
    assert near_duplicates(thumbs) == [(i, i + 50) for i in range(10, 20)]


def test_linked_pictures_are_one_group():
    assert groups_of([(0, 3), (3, 5), (1, 2)]) == [[0, 3, 5], [1, 2]]
    assert groups_of([]) == []
