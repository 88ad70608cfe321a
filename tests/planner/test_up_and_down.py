"""Streets have an up and a down, microscopy and the slices of one stack do not."""

import cv2
import numpy as np

from fastunet.planner.up_and_down import features_of, told_upright


def textures(rng, count, side=64):
    for _ in range(count):
        noise = rng.random((side, side, 3)).astype(np.float32)
        image = (255 * cv2.GaussianBlur(noise, (0, 0), 4)).astype(np.uint8)
        yield image, (image[..., 0] > np.median(image[..., 0])).astype(np.uint8)


def streets(rng, count, side=64):
    for _ in range(count):
        horizon = int(rng.integers(side // 4, side // 2))
        image = np.full((side, side, 3), 80, np.uint8)
        image[:horizon] = 200
        image += rng.integers(0, 40, image.shape, dtype=np.uint8)
        yield (
            image,
            (np.arange(side)[:, None] < horizon).astype(np.uint8) * np.ones((1, side), np.uint8),
        )


def told(pairs):
    return told_upright([features_of(image, mask, 2) for image, mask in pairs])


def test_streets_are_told_from_themselves_upside_down():
    found = told(streets(np.random.default_rng(0), 12))
    assert (found.told, found.of) == (12, 12)
    assert found.has_up


def test_textures_are_not():
    for seed in range(5):
        assert not told(textures(np.random.default_rng(seed), 30)).has_up


def test_the_slices_of_one_stack_have_no_up_though_they_are_alike():
    rng = np.random.default_rng(1)
    [(place, _)] = textures(rng, 1)
    slices = []
    for _ in range(20):
        noisy = cv2.add(place, rng.integers(0, 9, place.shape, dtype=np.uint8))
        slices.append((noisy, (noisy[..., 0] > 127).astype(np.uint8)))
    assert not told(slices).has_up


def test_of_a_few_pictures_nothing_is_concluded():
    found = told(textures(np.random.default_rng(0), 4))
    assert found.has_up
    assert "too few" in str(found)
