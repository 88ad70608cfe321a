"""How pixels become network input and a prediction goes back."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastunet.errors import ImageReadError
from fastunet.io.images import read_image
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
    old = {
        "policy": "resize",
        "size": [8, 9],
        "channels": 1,
        "values": "uint8",
        "mean": [0.5],
        "std": [0.2],
    }
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


# --- numbers of several kinds ---------------------------------------------------------------------


def scene(seed):
    """A smooth grey scene, (32, 32) in 0..1, with a bright square."""
    grey = np.random.default_rng(seed).uniform(0.05, 0.3, (32, 32))
    grey[8:20, 8:20] += 0.6
    return grey


def save_as(file, grey, full, dtype):
    """A scene as the numbers of a type, in a file that holds them."""
    import cv2

    pixels = grey * full
    pixels = (pixels if np.dtype(dtype).kind == "f" else np.rint(pixels)).astype(dtype)
    if file.suffix == ".npy":
        np.save(file, pixels)
    else:
        assert cv2.imwrite(str(file), pixels)
    return file


EIGHT, TWELVE, SIXTEEN = (255, "u1"), (4095, "u2"), (65_535, "u2")


@pytest.mark.parametrize("other", [SIXTEEN, TWELVE], ids=["16 bits", "12 bits"])
def test_files_of_8_bits_and_of_more_are_the_same_picture_to_the_network(tmp_path, other):
    kinds = [EIGHT, other] * 3
    paths = [save_as(tmp_path / f"{i}.png", scene(i), *kind) for i, kind in enumerate(kinds)]
    with pytest.warns(UserWarning, match=r"3 of uint8.*3 of uint16.*scaled by its own full"):
        pre = Preprocess.infer(paths, size=32)
    for seed in range(3):
        both = [
            pre.prepare(save_as(tmp_path / f"x{kind[1]}.png", scene(seed), *kind))
            for kind in (EIGHT, other)
        ]
        np.testing.assert_allclose(*both, atol=0.01)
        assert both[0][10:18, 10:18].mean() > 0.6  # and not black
    restored = Preprocess.from_dict(json.loads(json.dumps(pre.to_dict())))
    assert restored == pre
    np.testing.assert_array_equal(restored.prepare(paths[0]), pre.prepare(paths[0]))


def test_numbers_that_mean_the_same_in_all_types_are_left_alone_where_that_is_said(tmp_path):
    paths = [
        save_as(tmp_path / "a.png", scene(0), 255, "u1"),
        save_as(tmp_path / "b.png", scene(1), 400, "u2"),
    ]
    pre = Preprocess.infer(paths, size=32, scaling="percentile")
    low, high = pre.low[0], pre.high[0]
    np.testing.assert_allclose(
        pre.prepare(paths[0])[..., 0],
        (read_image(paths[0])[..., 0] - low) / (high - low),
        atol=1e-5,
    )


def test_floats_of_two_full_scales_are_refused_with_what_to_do(tmp_path):
    paths = [
        save_as(tmp_path / "a.npy", scene(0), 1, "f4"),
        save_as(tmp_path / "b.npy", scene(1), 255, "f4"),
    ]
    with pytest.raises(ImageReadError, match=r'a\.npy.*Save all with one range.*"percentile"'):
        Preprocess.infer(paths, size=32)


def trained_on(tmp_path, full, dtype, suffix="png"):
    paths = [save_as(tmp_path / f"t{i}.{suffix}", scene(i), full, dtype) for i in range(3)]
    return Preprocess.infer(paths, size=32)


@pytest.mark.parametrize("trained", [TWELVE, SIXTEEN], ids=["12 bits", "16 bits"])
@pytest.mark.parametrize("full_and_type", [EIGHT, (1, "f4")], ids=["8 bits", "0..1"])
def test_a_model_of_deep_images_scales_shallow_ones_to_them_and_says_so(
    tmp_path, trained, full_and_type
):
    pre = trained_on(tmp_path, *trained)
    full, dtype = full_and_type
    pixels = scene(0) * full
    given = (np.rint(pixels) if dtype == "u1" else pixels).astype(dtype)
    with pytest.warns(UserWarning, match=r"the image: (uint8|float32) values.*had uint16"):
        seen = pre.prepare(given)
    np.testing.assert_allclose(seen, pre.prepare(tmp_path / "t0.png"), atol=0.01)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_the_same_numbers_in_another_type_are_the_same_image(tmp_path, dtype, recwarn):
    pre = trained_on(tmp_path, *SIXTEEN)
    given = read_image(tmp_path / "t0.png").astype(dtype)
    np.testing.assert_allclose(pre.prepare(given), pre.prepare(tmp_path / "t0.png"), atol=1e-5)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("trained", "given", "message"),
    [
        (
            SIXTEEN,
            TWELVE,
            r"x\.png: its values, \d+\.\.3\d\d\d \(uint16\).*below .*\.\.5\d{4}",
        ),
        (
            TWELVE,
            SIXTEEN,
            r"x\.png: its values, \d+\.\.5\d{4} \(uint16\).*above .*\.\.3\d\d\d",
        ),
        (EIGHT, TWELVE, r"x\.png: its values, .* 0\.\.255: .*If 4095 is white in it, scale it"),
        (EIGHT, (255, "u2"), r"x\.png: its values, .* 0\.\.255: .*If 255 is white in it, scale it"),
    ],
)
def test_an_image_of_another_range_is_told_with_both_ranges(tmp_path, trained, given, message):
    pre = trained_on(tmp_path, *trained)
    odd = save_as(tmp_path / "x.png", scene(0), *given)
    with pytest.warns(UserWarning, match=message) as told:
        [pre.prepare(odd) for _ in range(3)]
    assert len(told) == 1  # for a folder of them


def test_floats_of_0_to_255_are_what_8_bits_are_and_0_and_1_alone_are_asked_about(
    tmp_path, recwarn
):
    pre = trained_on(tmp_path, *EIGHT)
    image = read_image(tmp_path / "t0.png")
    np.testing.assert_array_equal(pre.prepare(image.astype("f4")), image)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="0 and 1 alone"):
        assert pre.prepare(np.eye(4, dtype=np.float32)).max() == 255


# --- no data --------------------------------------------------------------------------------------


def raster(seed, value=-9999, dtype="f4"):
    """A scene, and the same without data in the upper rows."""
    full = scene(seed).astype(dtype)
    holed = full.copy()
    holed[:5] = value
    return full, holed


@pytest.mark.parametrize("policy", ["resize", "patch"])
@pytest.mark.parametrize("value", [-9999, -3.4028234663852886e38, 9999])
def test_pixels_without_data_are_left_out_of_range_and_statistics(tmp_path, value, policy):
    rasters = [raster(seed, value) for seed in range(4)]
    paths = [tmp_path / f"{i}.npy" for i in range(4)]
    for path, (_, holed) in zip(paths, rasters, strict=True):
        np.save(path, holed)
    with pytest.warns(UserWarning, match="in 4 images.*class stays as the mask has it"):
        pre = Preprocess.infer(paths, size=32, policy=policy)
    valid = np.concatenate([full[5:].ravel() for full, _ in rasters])
    low, high = np.percentile(valid, (0.5, 99.5))
    np.testing.assert_allclose((pre.low[0], pre.high[0]), (low, high), rtol=1e-5)
    scaled = (valid - low) / (high - low)
    np.testing.assert_allclose((pre.mean[0], pre.std[0]), (scaled.mean(), scaled.std()), rtol=1e-4)
    assert pre.nodata == (float(np.float32(value)),)
    seen = pre.prepare(paths[0])
    np.testing.assert_array_equal(seen[:5], 0)
    np.testing.assert_allclose(seen[5:, :, 0], (rasters[0][0][5:] - low) / (high - low), atol=1e-4)
    assert f"{value:g} is no data" in pre.describe()


def test_an_image_that_has_no_data_at_all_is_black(tmp_path):
    np.save(tmp_path / "a.npy", raster(0)[1])
    np.save(tmp_path / "b.npy", np.full((32, 32), -9999, np.float32))
    with pytest.warns(UserWarning, match="in 2 images"):
        pre = Preprocess.infer([tmp_path / "a.npy", tmp_path / "b.npy"], size=32)
    np.testing.assert_array_equal(pre.prepare(tmp_path / "b.npy"), 0)
    with pytest.raises(ImageReadError, match=r"b\.npy and all other images hold nothing but -9999"):
        Preprocess.infer([tmp_path / "b.npy"], size=32)


def test_no_data_in_one_band_leaves_the_other_bands_as_they_are(tmp_path):
    bands = np.stack([scene(0), scene(1)], axis=2).astype(np.float32)
    bands[:4, :, 1] = -9999
    np.save(tmp_path / "a.npy", bands)
    with pytest.warns(UserWarning, match="No data"):
        pre = Preprocess.infer([tmp_path / "a.npy"], size=32)
    seen = pre.prepare(tmp_path / "a.npy")
    np.testing.assert_array_equal(seen[:4, :, 1], 0)
    assert seen[:4, :, 0].std() > 0.01
    assert min(pre.low) > 0


def test_the_value_that_a_geotiff_states_is_left_out(tmp_path):
    import tifffile

    deep = np.rint(scene(0) * 20_000).astype(np.uint16)
    deep[:5] = 65_535
    stated = [(42113, "s", 0, "65535", True)]
    tifffile.imwrite(tmp_path / "a.tif", deep, extratags=stated)
    with pytest.warns(UserWarning, match="No data: 65535 in 1 image"):
        pre = Preprocess.infer([tmp_path / "a.tif"], size=32)
    assert pre.high[0] < 20_000
    np.testing.assert_array_equal(pre.prepare(tmp_path / "a.tif")[:5], 0)
    tifffile.imwrite(tmp_path / "silent.tif", deep)
    assert Preprocess.infer([tmp_path / "silent.tif"], size=32).nodata == ()


@pytest.mark.parametrize("trained", [EIGHT, (1, "f4"), SIXTEEN], ids=["8 bits", "0..1", "16 bits"])
def test_values_of_no_data_that_no_training_image_had_are_found_and_told(tmp_path, trained):
    pre = trained_on(tmp_path, *trained, suffix="npy")
    _, holed = raster(0)
    given = np.where(holed == -9999, holed, holed * trained[0]).astype(np.float32)
    with pytest.warns(UserWarning, match=r"the image: values far away .*-9999 in 160 of them"):
        seen = pre.prepare(given)
    np.testing.assert_array_equal(seen[:5], 0)
    np.testing.assert_allclose(
        seen[5:].astype(float),
        pre.prepare(tmp_path / "t0.npy")[5:],
        atol=1 if seen.max() > 9 else 0.01,
    )


def test_colours_with_no_data_become_grey_without_it(tmp_path):
    pre = trained_on(tmp_path, *EIGHT)
    colours = np.stack([scene(0) * 255] * 3, axis=2).astype(np.float32)
    colours[0, 0] = -9999
    with pytest.warns(UserWarning, match="-9999"):
        seen = pre.prepare(colours)
    assert seen.dtype == np.uint8
    assert seen[0, 0, 0] == 0


@pytest.mark.parametrize(
    "change", [{"nonsense": 1}, {"size": 3}, {"mean": 5}, {"std": ["x"]}, {"channels": "3"}]
)
def test_json_that_is_no_preprocessing_is_refused(change):
    with pytest.raises(ValueError, match=r"unknown|damaged|entries|format code"):
        Preprocess.from_dict({**Preprocess().to_dict(), **change})
