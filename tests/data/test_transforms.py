"""A pair on its way to a batch."""

import random

import numpy as np
import pytest
import torch

from fastunet.data.augment import Augment
from fastunet.data.reader import PairReader
from fastunet.data.transforms import (
    ImageTensor,
    Labels,
    LoadImage,
    LoadMask,
    MaskLegend,
    MaskTensor,
    NormalisePixels,
    RandomView,
    ScalePixels,
)
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.preprocess import Preprocess

CODEC = MaskCodec(("off", "on"), (0, 255))


@pytest.fixture
def reader():
    return PairReader(CODEC, Preprocess((32, 32)))


def test_a_pair_and_an_image_alone_are_loaded(write_pairs, reader):
    pair = find_pairs(write_pairs(1))[0]
    image, mask = reader.read(pair)
    np.testing.assert_array_equal(LoadImage(reader)(pair), image)
    np.testing.assert_array_equal(LoadMask(reader)(pair), mask)
    assert LoadImage(reader)(np.zeros((9, 9, 3), np.uint8)).shape == (32, 32, 3)


def test_the_mask_says_what_a_learner_asks_of_data(reader):
    load = LoadMask(reader, lambda: "a loss")
    assert (load.vocab, load.c, load.task, load.loss_func) == (["off", "on"], 2, "binary", "a loss")


def test_validation_shows_the_picture_as_prediction_does(reader):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (50, 40, 3), np.uint8)
    mask = rng.integers(0, 2, (50, 40), np.uint8)
    view = RandomView(reader, Augment(flip_lr=1))
    seen, labels = view((image, mask), split_idx=1)
    expected = reader.preprocess.resize(image)
    np.testing.assert_array_equal(seen.permute(1, 2, 0).numpy(), expected)
    np.testing.assert_array_equal(labels.numpy(), reader.preprocess.resize_mask(mask))


def test_training_mirrors_image_and_mask_alike(reader):
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 20:] = 255
    mask = (image[..., 0] > 0).astype(np.uint8)
    mirror = Augment(1, 0, 0, (1, 1), 0, 0, 0, 0)
    seen, labels = RandomView(reader, mirror)((image, mask.view(Labels)), split_idx=0)
    np.testing.assert_array_equal(labels.numpy(), mask[:, ::-1])
    np.testing.assert_array_equal(seen[0].numpy() > 127, mask[:, ::-1] > 0)


def test_patches_centre_on_rare_classes_as_often_as_was_asked_for():
    mask = np.zeros((200, 200), np.uint8)
    mask[150, 30] = 1
    labels = mask.view(Labels)
    labels.class_locations = [np.array([[150, 30]])]
    image = np.zeros((200, 200, 3), np.uint8)
    still = {"flip_lr": 0, "rotate": 0, "scale": (1, 1)}
    for rare, least, most in ((1.0, 40, 40), (0.0, 0, 12)):
        random.seed(0)
        patches = PairReader(CODEC, Preprocess((32, 32), policy="patch"))
        view = RandomView(patches, Augment(**still, rare=rare))
        held = sum(int((view((image, labels), split_idx=0)[1] == 1).any()) for _ in range(40))
        assert least <= held <= most


def test_a_batch_is_scaled_normalised_and_comes_back(reader):
    pixels = ImageTensor(torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8))
    scaled = ScalePixels(reader).encodes(pixels)
    normalise = NormalisePixels(reader)
    back = normalise.decodes(normalise.encodes(scaled))
    np.testing.assert_allclose(back.numpy() * 255, pixels.numpy(), atol=1e-3)


def test_a_mask_in_a_batch_carries_its_codec_for_pictures():
    legend = MaskLegend(CODEC)
    masks = legend.encodes(MaskTensor(torch.zeros(2, 4, 4, dtype=torch.uint8)))
    assert masks.dtype == torch.int64
    assert legend.decodes(masks).codec is CODEC
