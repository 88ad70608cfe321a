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


def test_deep_pixels_are_scaled_by_percentiles_so_that_hot_ones_do_not_press_the_rest(tmp_path):
    rng = np.random.default_rng(0)
    deep = rng.integers(1000, 3000, (64, 64, 5), dtype=np.uint16)
    deep[..., 2] *= 2
    deep[0, 0] = 65_535
    np.save(tmp_path / "a.npy", deep)
    pre = Preprocess.infer([tmp_path / "a.npy"], size=64)
    low, high = np.percentile(deep.reshape(-1, 5), (0.5, 99.5), axis=0)
    np.testing.assert_allclose((pre.low, pre.high), (low, high), rtol=1e-5)
    prepared = pre.prepare(tmp_path / "a.npy")
    assert np.percentile(prepared, (1, 99)) == pytest.approx((0, 1), abs=0.02)
    by_type = Preprocess.infer([tmp_path / "a.npy"], size=64, scaling="dtype")
    assert by_type.low == ()
    np.testing.assert_allclose(by_type.prepare(tmp_path / "a.npy"), deep / 65_535, atol=1e-6)


def test_patches_are_seen_at_a_share_of_the_images_resolution():
    pre = Preprocess((64, 64), policy="patch", scale=0.5)
    assert pre.seen_size((101, 300)) == (50, 150)
    assert pre.resize(np.zeros((101, 300, 3), np.uint8)).shape == (50, 150, 3)
    assert pre.resize_mask(np.zeros((101, 300), np.uint8)).shape == (50, 150)
    assert Preprocess((64, 64)).seen_size((101, 300)) == (64, 64)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([0.3, 0.5, 1, 2]),
)
def test_a_smooth_picture_comes_back_from_the_networks_resolution(size, own, scale):
    for pre in (Preprocess(size, 1), Preprocess(size, 1, policy="patch", scale=scale)):
        flat = np.full((*own, 1), 77, np.uint8)
        seen = torch.from_numpy(pre.resize(flat)).permute(2, 0, 1)[None].float()
        back = pre.restore(seen, own)
        assert back.shape == (1, 1, *own)
        torch.testing.assert_close(back, torch.full_like(back, 77))


def test_a_bundle_of_an_earlier_version_is_still_understood():
    old = {"policy": "resize", "size": [8, 9], "channels": 1, "values": "uint8", "mean": [0.5],
           "std": [0.2]}  # fmt: skip
    assert Preprocess.from_dict(old) == Preprocess((8, 9), 1, "uint8", (0.5,), (0.2,))


def test_normalising_has_an_inverse():
    pre = Preprocess((4, 4), 2, mean=(0.1, 0.7), std=(0.5, 0.2))
    images = torch.rand(3, 2, 4, 4)
    torch.testing.assert_close(pre.denormalise(pre.normalise(images)), images)


def test_json_makes_the_same_object_again():
    pre = Preprocess((96, 128), 3, "float", (0.1, 0.2, 0.3), (1, 2, 3), "patch", 0.5, (0,), (9,))
    assert Preprocess.from_dict(json.loads(json.dumps(pre.to_dict()))) == pre


@pytest.mark.parametrize("policy", ["resize", "patch"])
def test_statistics_are_not_made_of_pixels_that_are_no_numbers(tmp_path, policy):
    for name in ("a", "b"):
        pixels = np.random.default_rng(0).random((8, 9, 2), np.float32)
        if name == "b":
            pixels[1, 2, 1] = np.nan
        np.save(tmp_path / f"{name}.npy", pixels)
    with pytest.raises(ImageReadError, match=r"b\.npy: NaN or infinity in 1 of 72 pixels"):
        Preprocess.infer(sorted(tmp_path.iterdir()), size=8, policy=policy)


def test_an_image_of_other_channels_is_refused():
    with pytest.raises(ImageReadError, match="2 channels were found where 3"):
        Preprocess(channels=3).prepare(np.zeros((4, 4, 2), np.uint8))


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="size"):
        Preprocess(size=(0, 4))
    with pytest.raises(ValueError, match="mean has 2 entries for 3 channels"):
        Preprocess(mean=(0.1, 0.2))


@pytest.mark.parametrize(
    "change", [{"nonsense": 1}, {"size": 3}, {"mean": 5}, {"std": ["x"]}, {"channels": "3"}]
)
def test_json_that_is_no_preprocessing_is_refused(change):
    with pytest.raises(ValueError, match=r"unknown|damaged|entries|format code"):
        Preprocess.from_dict({**Preprocess().to_dict(), **change})
