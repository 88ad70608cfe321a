"""Synthetic data sets: the same everywhere, whole on disk, and not too easy."""

import cv2
import numpy as np
import pytest
from sklearn.metrics import f1_score

from fastunet.datasets import synthetic as samples
from fastunet.errors import OutputError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs


@pytest.mark.parametrize("make", [samples.nuclei, samples.parcels])
def test_drawing_twice_gives_the_same_pictures(tmp_path, make):
    first, second = make(4, tmp_path / "a"), make(4, tmp_path / "b")
    files = sorted(f.relative_to(first) for f in first.rglob("*.png"))
    assert len(files) == 8
    for file in files:
        one, two = (cv2.imread(str(root / file), cv2.IMREAD_UNCHANGED) for root in (first, second))
        np.testing.assert_array_equal(one, two)


def test_a_second_call_finds_the_first_ones_files(tmp_path):
    folder = samples.nuclei(2, tmp_path)
    before = {f: f.stat().st_mtime_ns for f in folder.rglob("*.png")}
    assert samples.nuclei(2, tmp_path) == folder
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*.png")} == before
    assert [f.name for f in folder.parent.iterdir()] == [folder.name]  # nothing half-made


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-12]),
        lambda file: file.write_bytes(file.read_bytes() + b"more"),
        lambda file: file.write_bytes(file.read_bytes().replace(b"IDAT", b"IDAU", 1)),
        lambda file: file.write_bytes(file.read_bytes()[:200] + b"!" + file.read_bytes()[201:]),
    ],
)
def test_a_damaged_picture_is_drawn_again(tmp_path, damage):
    folder = samples.parcels(2, tmp_path)
    before = {f: f.read_bytes() for f in folder.rglob("*.png")}
    for file in ("images/001.png", "masks/000.png"):
        damage(folder / file)
    assert samples.parcels(2, tmp_path) == folder
    assert {f: f.read_bytes() for f in folder.rglob("*.png")} == before


def test_parcels_have_five_classes_and_a_void_border(tmp_path):
    pairs = find_pairs(samples.parcels(6, tmp_path))
    codec = MaskCodec.infer([p.mask for p in pairs], samples.PARCEL_CLASSES, samples.PARCEL_VOID)
    indices = np.stack([codec.read(pair.mask) for pair in pairs])
    assert set(np.unique(indices)) == {0, 1, 2, 3, 4, VOID}
    assert 0.01 < (indices == VOID).mean() < 0.25


def test_no_threshold_separates_nuclei(tmp_path):
    pairs = find_pairs(samples.nuclei(12, tmp_path))
    images = np.stack([cv2.imread(str(p.image), 0) for p in pairs])
    truth = np.stack([cv2.imread(str(p.mask), 0) for p in pairs]) > 0
    best = max(f1_score(truth.ravel(), (images > level).ravel()) for level in range(40, 160, 8))
    assert best < 0.85


def test_what_the_disk_does_not_take_is_no_half_drawn_data_set(tmp_path, files_of_1000_bytes):
    with pytest.raises(OutputError, match="cannot be written"):
        samples.nuclei(2, tmp_path)
    assert list((tmp_path / "samples").iterdir()) == []
