"""How pixels become network input and a prediction goes back."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastunet.data.images import read_image
from fastunet.errors import ImageReadError
from fastunet.preprocess import Preprocess


def test_statistics_are_those_of_the_pixels(write_pairs):
    paths = sorted((write_pairs(6) / "images").iterdir())
    pre = Preprocess.infer(paths, size=(40, 48))
    pixels = np.stack([read_image(path) for path in paths]).reshape(-1, 3) / 255
    np.testing.assert_allclose(pre.mean, pixels.mean(0), atol=1e-6)
    np.testing.assert_allclose(pre.std, pixels.std(0), atol=1e-6)


def test_training_images_have_mean_zero_and_deviation_one(write_pairs):
    paths = sorted((write_pairs(6) / "images").iterdir())
    pre = Preprocess.infer(paths, size=(40, 48))
    batch = torch.cat([pre.to_tensor(pre.prepare(path)) for path in paths])
    torch.testing.assert_close(batch.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


def test_grey_pictures_need_one_channel_also_where_stored_as_colour(tmp_path):
    from PIL import Image

    grey = np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(np.dstack([grey] * 3 + [np.full_like(grey, 255)])).save(tmp_path / "a.png")
    assert Preprocess.infer([tmp_path / "a.png"]).channels == 1
    assert Preprocess.infer([tmp_path / "a.png"], channels=3).channels == 3


def test_sixteen_bit_pictures_are_kept_deep_and_twelve_bit_ones_normalised(tmp_path):
    import cv2

    twelve = np.random.default_rng(0).integers(0, 4096, (16, 16), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), twelve)
    pre = Preprocess.infer([tmp_path / "a.png"], size=16)
    assert pre.values == "float"
    assert pre.to_tensor(pre.prepare(tmp_path / "a.png")).std() == pytest.approx(1, abs=0.01)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(1, 7),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_any_size_goes_in_and_comes_back(size, channels, own):
    pre = Preprocess(size, channels)
    tensor = pre.to_tensor(np.zeros((*own, channels), np.uint8))
    assert tensor.shape == (1, channels, *size)
    assert pre.restore(tensor, own).shape == (1, channels, *own)
    assert pre.resize_mask(np.zeros(own, np.uint8)).shape == size


def test_normalising_has_an_inverse():
    pre = Preprocess((4, 4), 2, mean=(0.1, 0.7), std=(0.5, 0.2))
    images = torch.rand(3, 2, 4, 4)
    torch.testing.assert_close(pre.denormalise(pre.normalise(images)), images)


def test_json_makes_the_same_object_again():
    pre = Preprocess((96, 128), 3, "float", (0.1, 0.2, 0.3), (1, 2, 3))
    assert Preprocess.from_dict(json.loads(json.dumps(pre.to_dict()))) == pre


def test_an_image_of_other_channels_is_refused():
    with pytest.raises(ImageReadError, match="2 channels were found where 3"):
        Preprocess(channels=3).prepare(np.zeros((4, 4, 2), np.uint8))


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="size"):
        Preprocess(size=(0, 4))
    with pytest.raises(ValueError, match="mean has 2 entries for 3 channels"):
        Preprocess(mean=(0.1, 0.2))
