"""Which images are shown, and how."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.overlay import MISSED
from fastunet.report.examples import around, chosen, draw

CODEC = MaskCodec(("background", "cell"), (0, 255))


def pixels(url: str) -> np.ndarray:
    head, data = url.split(",", 1)
    assert head == "data:image/webp;base64"
    return np.array(Image.open(BytesIO(base64.b64decode(data))).convert("RGBA"))


def test_the_worst_the_median_and_the_best_come_first_and_none_twice():
    dice = np.array([0.5, np.nan, 0.1, 0.9, 0.6, 0.2, 0.8, 0.7])
    found = chosen(dice)
    assert found[:3] == [("worst", 2), ("median", 4), ("best", 3)]
    assert len({index for _, index in found}) == len(found) == 7
    assert 1 not in dict(found).values()
    assert chosen(np.array([0.5])) == [("worst", 0)]
    assert chosen(np.array([np.nan])) == []


def test_layers_are_exact_and_at_full_resolution():
    truth = np.zeros((200, 300), np.uint8)
    truth[50:100, 50:100] = 1
    truth[0, 0] = VOID
    image = np.full((200, 300, 3), 200, np.uint8)
    example = draw("worst", "a", "Dice 0.5", image, truth, np.zeros_like(truth), CODEC)
    assert example.size == (200, 300)
    assert example.note == ""
    assert example.legend == [("cell", (255, 0, 0)), ("void", (255, 255, 255))]
    errors = pixels(example.errors)
    assert errors.shape == (200, 300, 4)
    missed = (errors[..., :3] == MISSED).all(axis=2) & (errors[..., 3] > 0)
    np.testing.assert_array_equal(missed, truth == 1)
    shown = pixels(example.picture)[..., :3].astype(int)
    assert np.abs(shown - 200).max() <= 3  # WebP


def test_of_a_large_image_the_part_with_the_most_errors_is_shown():
    truth = np.zeros((1500, 3000), np.uint8)
    truth[1400:1450, 2800:2900] = 1
    image = np.full((*truth.shape, 3), 120, np.uint8)
    example = draw("worst", "a", "Dice 0.0", image, truth, np.zeros_like(truth), CODEC)
    assert example.size == (1024, 1024)
    assert "of 1500 x 3000" in example.note
    assert "1024 x 1024 pixels with the most errors" in example.note
    assert (pixels(example.errors)[..., :3] == MISSED).all(axis=2).sum() == 5000


def test_pictures_keep_to_their_bytes_and_say_at_what_resolution():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (400, 400, 3), dtype=np.uint8)
    truth = rng.integers(0, 2, (400, 400), dtype=np.uint8)
    example = draw("best", "a", "Dice 1.0", image, truth, truth, CODEC, bytes_each=40_000)
    urls = (example.picture, example.truth, example.prediction, example.errors)
    assert sum(len(url) for url in urls) < 40_000 * 4 / 3 + 200
    assert "% of its resolution" in example.note


def test_a_dark_picture_is_brightened_and_the_page_says_so():
    image = np.full((50, 50, 1), 5, np.uint8)
    image[10:40, 10:40] = 25
    truth = np.zeros((50, 50), np.uint8)
    example = draw("best", "a", "Dice 1.0", image, truth, truth, CODEC)
    assert pixels(example.picture)[25, 25, 0] > 240
    assert "10.2 times as bright" in example.note


def test_a_place_is_shown_with_what_is_around_it():
    assert around(500, 10, (1000, 1000), 100) == (slice(450, 550), slice(0, 100))
    assert around(999, 999, (1000, 1000, 3), 100) == (slice(900, 1000), slice(900, 1000))
    rows, columns = around(5, 5, (20, 30), 100)
    assert np.zeros((20, 30))[rows, columns].shape == (20, 30)
