"""JPEG masks: their codes gather about those that were saved."""

import numpy as np
import pytest

from fastunet.errors import MaskValueError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec

RNG = np.random.default_rng(0)
BLACK = (0, 0, 0)
RED = (255, 0, 0)
GREEN = (0, 255, 0)


def test_a_rare_class_of_jpeg_masks_is_a_class(tmp_path, discs, write, jpegs):
    paths = jpegs(tmp_path, discs(128, side=160))
    rare = discs(128, side=160)
    rare[140:152, 100:112] = 255  # 144 of 25,600 pixels, in one of six files
    write(tmp_path / "0.jpg", rare, quality=75)
    codec = MaskCodec.infer(paths)
    assert codec.codes == (0, 128, 255)
    assert 100 < (codec.read(paths[0]) == 2).sum() < 200


def test_ringing_along_straight_edges_makes_no_classes(tmp_path, jpegs):
    mask = np.zeros((96, 96), np.uint8)
    for i in range(4):
        mask[:, 24 * i : 24 * i + 24] = i
    paths = jpegs(tmp_path, mask, BLACK, RED, GREEN, (0, 0, 255))
    assert len(MaskCodec.infer(paths).classes) == 4


def test_void_of_jpeg_masks_is_the_nearest_of_their_colours(tmp_path, discs, jpegs):
    paths = jpegs(tmp_path, discs(1, 2, side=96), BLACK, RED, GREEN)
    codec = MaskCodec.infer(paths, void="#ff0000")
    assert len(codec.classes) == 2
    truth = discs(1, 2, side=96)
    assert (codec.read(paths[0])[truth == 1] == VOID).mean() > 0.9
    for far in ("#8080ff", "#e00000"):
        with pytest.raises(MaskValueError, match=f"void='{far}' is not near any"):
            MaskCodec.infer(paths, void=far)


def test_a_thin_class_of_jpeg_masks_is_asked_about(tmp_path, discs, jpegs):
    mask = discs(1, side=96)
    mask[60:90, ::12] = 2  # lines of one pixel
    paths = jpegs(tmp_path, mask, BLACK, RED, (0, 255, 255))
    with pytest.raises(MaskValueError, match="a rare or thin class, or a blurred edge"):
        MaskCodec.infer(paths)


def test_photos_as_jpeg_are_no_masks(tmp_path, write):
    paths = []
    for i in range(3):
        noise = RNG.normal(128, 40, (64, 64, 3)).clip(0, 255)
        paths.append(write(tmp_path / f"{i}.jpg", noise, quality=80))
    with pytest.raises(MaskValueError, match="they look like pictures"):
        MaskCodec.infer(paths)


def test_jpeg_rules_hold_for_jpeg_files_only(tmp_path, discs, write, jpegs):
    paths = jpegs(tmp_path, discs(128, side=96))
    codec = MaskCodec.infer([*paths, write(tmp_path / "a.png", discs(128, side=96))])
    with pytest.raises(MaskValueError, match=r"odd\.png holds 77"):
        codec.read(write(tmp_path / "odd.png", discs(77)))
