"""One warp for image and mask."""

from dataclasses import replace

import numpy as np
import pytest
from fastai.torch_core import set_seed
from fastai.vision.augment import Rotate
from hypothesis import given
from hypothesis import strategies as st

from fastunet.data.augment import Albumentations, Augment, augmentation_of
from fastunet.errors import TrainingError
from fastunet.labels import VOID

PLAIN = Augment.none().draw()


def quadrants(size=64):
    """A picture whose grey level is the class of the pixel, 40 apart."""
    mask = np.zeros((size, size), np.uint8)
    mask[: size // 2, size // 2 :] = 1
    mask[size // 2 :, : size // 2] = 2
    mask[size // 2 :, size // 2 :] = 3
    return (mask * 40 + 20)[..., None], mask


def test_no_augmentation_is_the_identity():
    image, mask = quadrants()
    np.testing.assert_array_equal(PLAIN.warp_image(image, (64, 64)), image)
    np.testing.assert_array_equal(PLAIN.warp_mask(mask, (64, 64)), mask)


def test_a_mirror_image_is_numpys():
    image, mask = quadrants()
    view = replace(PLAIN, flip_lr=True)
    np.testing.assert_array_equal(view.warp_image(image, (64, 64)), image[:, ::-1])
    np.testing.assert_array_equal(view.warp_mask(mask, (64, 64)), mask[:, ::-1])


@given(st.integers(0, 2**32 - 1))
def test_the_mask_moves_with_the_image(seed):
    set_seed(seed)
    light_off = Augment(0.5, 0.5, 180, (0.5, 2), brightness=0, contrast=0, gamma=0)
    view = light_off.draw()
    image, mask = quadrants()
    seen, labels = view.warp_image(image, (48, 56))[..., 0], view.warp_mask(mask, (48, 56))
    inside = labels != VOID
    exact = np.isin(seen, [20, 60, 100, 140]) & inside  # not between two classes
    wrong = exact & (seen != labels * 40 + 20)
    # a pixel on an edge may round either way; OpenCV 4 rounds to 1/32 pixel
    assert wrong.sum() <= 0.03 * max(1, exact.sum())
    assert exact.sum() > 0.7 * inside.sum()


def test_what_lies_outside_the_picture_is_void_in_the_mask():
    _, mask = quadrants()
    small = replace(PLAIN, scale=0.5).warp_mask(mask, (64, 64))
    assert (small == VOID).mean() == pytest.approx(0.75, abs=0.02)


def test_more_than_four_channels_are_warped_alike():
    image, _ = quadrants()
    view = replace(PLAIN, angle=0.4, scale=1.3)
    many = view.warp_image(image.repeat(6, axis=2), (50, 60))
    one = view.warp_image(image, (50, 60))
    difference = np.abs(many.astype(int) - one)
    assert difference.max() <= 2  # OpenCV rounds by another routine above four channels


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_brightness_moves_the_mean_and_keeps_the_type(dtype):
    image = quadrants()[0].astype(dtype)
    bright = replace(PLAIN, brightness=1.1).warp_image(image, (64, 64))
    assert bright.dtype == dtype
    assert bright.mean() > image.mean()


@given(st.integers(0, 2**32 - 1))
def test_the_detail_of_a_dark_picture_survives_any_light(seed):
    set_seed(seed)
    defaults = Augment()
    light = Augment(0, 0, 0, (1, 1), defaults.brightness, defaults.contrast, defaults.gamma)
    dark = np.repeat(np.arange(5, 45, 5, dtype=np.uint8), 8).reshape(8, 8, 1)
    seen = light.draw().warp_image(dark, (8, 8))
    assert len(np.unique(seen)) == 8


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_a_warped_picture_of_the_mask_is_the_warped_mask(seed, fit, centred):
    set_seed(seed)
    wild = Augment(0.5, 0.5, 180, (0.5, 2), 20, 0, 0, 0)
    _, mask = quadrants()
    centre = (5, 60) if centred else None
    picture, labels = wild(mask[..., None] * 80, mask, (40, 52), fit, centre)
    inside = labels != VOID
    sure = np.isin(picture[..., 0], [0, 80, 160, 240]) & inside  # not between two classes
    wrong = sure & (picture[..., 0] != labels * 80.0)
    assert wrong.sum() <= 0.03 * max(1, sure.sum())


@given(st.tuples(st.integers(1, 50), st.integers(1, 50)), st.integers(1, 13))
def test_a_view_with_nothing_to_change_is_the_picture(size, channels):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, channels), dtype=np.uint8)
    mask = rng.integers(0, 5, size, dtype=np.uint8)
    for fit in (True, False):
        same_image, same_mask = Augment.none()(image, mask, size, fit)
        np.testing.assert_array_equal(same_image, image)
        np.testing.assert_array_equal(same_mask, mask)


def test_a_patch_is_cut_at_the_pictures_own_resolution():
    image, mask = quadrants(200)
    mask[3, 190] = 7
    patch, labels = Augment.none()(image, mask, (64, 48), fit=False, centre=(100, 100))
    np.testing.assert_array_equal(patch, image[68:132, 76:124])
    np.testing.assert_array_equal(labels, mask[68:132, 76:124])
    _, labels = Augment.none()(image, mask, (32, 32), fit=False, centre=(3, 190))
    np.testing.assert_array_equal(labels, mask[:32, 168:])  # it stays inside the picture
    mask[60, 60] = 7
    _, labels = Augment(rotate=90)(image, mask, (31, 31), fit=False, centre=(60, 60))
    assert 7 in labels[13:18, 13:18]


def test_pictures_beyond_the_limit_of_opencv_are_cut_into_patches():
    image = np.zeros((40, 40_000, 1), np.uint8)
    image[:, 39_000:] = 255
    patch, _ = Augment.none()(image, image[..., 0] // 255, (32, 32), False, (20, 39_500))
    assert (patch == 255).all()


def test_noise_and_blur_keep_size_and_type_and_the_mask():
    image, mask = quadrants()
    for dtype in (np.uint8, np.float32):
        rough = Augment(0, 0, 0, (1, 1), 0, 0, 0, 0, noise=0.1, blur=2)
        set_seed(1)
        seen, labels = rough(image.astype(dtype).repeat(5, axis=2), mask, (64, 64))
        assert seen.shape == (64, 64, 5)
        assert seen.dtype == dtype
        assert seen.std() != image.std()
        np.testing.assert_array_equal(labels, mask)


def test_outside_the_picture_is_its_mirror_image_or_nothing():
    white = np.full((20, 20, 1), 200, np.uint8)
    mask = np.zeros((20, 20), np.uint8)
    for border, value in (("reflect", 200), ("constant", 0)):
        small = Augment(0, 0, 0, (0.5, 0.5), 0, 0, 0, 0, border=border)
        image, labels = small(white, mask, (20, 20))
        assert image[labels == VOID].min() == value


@pytest.mark.parametrize("name", ["none", "light", "scene", "free"])
def test_presets_are_plain_augmentations(name):
    preset = Augment.preset(name)
    assert (preset.flip_ud > 0) == (name == "free")  # only there has a picture no up
    image, mask = quadrants()
    assert preset(image, mask, (32, 32))[0].shape == (32, 32, 1)


def test_settings_that_are_none_are_refused():
    with pytest.raises(TrainingError, match="none, light, scene, free"):
        Augment.preset("strong")
    with pytest.raises(TrainingError, match="border='wrap'"):
        Augment(border="wrap")
    with pytest.raises(TrainingError, match="scale="):
        Augment(scale=(1.2, 0.8))


# --- Albumentations -------------------------------------------------------------------------------


def test_any_albumentations_transform_keeps_classes_and_void():
    import albumentations

    transform = albumentations.Compose(
        [
            albumentations.D4(p=1.0),
            albumentations.Affine(scale=(0.5, 1.5), rotate=(-90, 90), p=1.0),
            albumentations.ElasticTransform(alpha=30, p=1.0),
            albumentations.RandomBrightnessContrast(p=1.0),
        ]
    )
    image, mask = quadrants()
    mask[:4] = VOID
    for _ in range(10):
        seen, labels = Albumentations(transform)(image.repeat(3, axis=2), mask, (64, 64))
        assert seen.shape == (64, 64, 3)
        assert set(np.unique(labels)) <= {0, 1, 2, 3, VOID}


def test_what_such_a_transform_fills_in_is_void():
    def shrink(image, mask):
        out = np.zeros_like(mask)  # as fill_mask=0 does
        out[8:24, 8:24] = mask[8:24, 8:24]
        return {"image": image, "mask": out}

    _, labels = Albumentations(shrink)(*quadrants(32), (32, 32))
    assert (labels[:8] == VOID).all()
    assert set(np.unique(labels[8:24, 8:24])) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda image, mask: {"image": image[:5], "mask": mask}, "an image of 5x32 .* 32x32; one"),
        (
            lambda image, mask: {"image": image / 255, "mask": mask},
            "made a float64 image",
        ),
        (lambda image, mask: {"image": image, "mask": mask.astype(np.int64)}, "made a int64 mask"),
        (lambda image, mask: {"image": image.transpose(2, 0, 1), "mask": mask}, "must stay"),
        (lambda image, mask: {"image": image[..., 0], "mask": mask}, "channels must stay"),
    ],
)
def test_a_transform_that_changes_channels_or_number_type_is_refused(wrong, message):
    with pytest.raises(TrainingError, match=message):
        Albumentations(wrong)(*quadrants(32), (32, 32))


def test_what_a_transform_makes_of_another_size_is_resized_to_the_networks():
    import albumentations

    image, mask = quadrants(64)
    for transform in (
        albumentations.RandomCrop(40, 48),
        albumentations.Resize(100, 30),
        albumentations.RandomResizedCrop((50, 50), scale=(0.5, 0.5)),
    ):
        seen, labels = Albumentations(transform)(image, mask, (64, 64))
        assert seen.shape == (64, 64, 1)
        assert labels.shape == (64, 64)
        assert set(np.unique(labels)) <= {0, 1, 2, 3, VOID}
    half = albumentations.CenterCrop(32, 32)
    seen, labels = Albumentations(half)(image, mask, (64, 64))
    np.testing.assert_array_equal(labels, mask)  # quadrants stay quadrants
    inner = np.s_[1:-1, 1:31]  # away from the borders between them
    np.testing.assert_array_equal(seen[inner][:30], image[inner][:30])


def test_a_crop_that_is_larger_than_the_picture_is_said_with_both_sizes():
    import albumentations

    crop = Albumentations(albumentations.RandomCrop(128, 100))
    with pytest.raises(TrainingError, match=r"fails on a picture of 64x64 .*128"):
        crop(*quadrants(64), (64, 64))


def test_augmentation_comes_in_any_form():
    import albumentations

    assert augmentation_of(None) == Augment()
    assert augmentation_of("free") == Augment.preset("free")
    ours = Augment(flip_ud=0.5)
    assert augmentation_of(ours) is ours
    for bare in (albumentations.Compose([albumentations.D4()]), albumentations.HorizontalFlip()):
        assert isinstance(augmentation_of(bare), Albumentations)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("strong", "none, light, scene, free"),
        ([], r"A\.Compose\(\[\.\.\.\]\)"),
        (Augment, r"Make one of it: Augment\(\)"),
        (Rotate(), "batch_tfms="),
        (True, "augment=True is no augmentation"),
    ],
)
def test_what_is_no_augmentation_is_refused(wrong, message):
    with pytest.raises(TrainingError, match=message):
        augmentation_of(wrong)


def test_the_same_seed_draws_the_same_view():
    set_seed(3)
    first = Augment().draw()
    set_seed(3)
    assert Augment().draw() == first
