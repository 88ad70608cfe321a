"""A stack of slices in one TIFF, cut into a file for each slice."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile

from fastunet.checks.audit import audit
from fastunet.errors import ImageReadError, MaskValueError
from fastunet.io.cut_stack import cut_stack
from fastunet.io.images import read_image
from fastunet.masks.codec import MaskCodec


@pytest.fixture
def stacks(tmp_path):
    """Images and masks as the pages of two files, as the ISBI 2012 challenge has them."""
    rng = np.random.default_rng(0)
    masks = np.where(rng.random((6, 20, 30)) < 0.7, 255, 0).astype(np.uint8)
    images = rng.integers(0, 255, masks.shape, np.uint8)
    for kind, name, pages in (("images", "train-volume", images), ("masks", "train-labels", masks)):
        (tmp_path / "data" / kind).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "data" / kind / f"{name}.tif", pages)
    return tmp_path / "data", masks


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_each_page_becomes_a_file(tmp_path, dtype):
    pages = np.random.default_rng(0).integers(0, 255, (5, 8, 9)).astype(dtype)
    tifffile.imwrite(tmp_path / "x.tif", pages, photometric="minisblack")
    files = cut_stack(tmp_path / "x.tif", tmp_path / "new" / "x")
    assert [file.stem for file in files] == ["000", "001", "002", "003", "004"]
    for file, page in zip(files, pages, strict=True):
        np.testing.assert_array_equal(read_image(file)[..., 0], page)


def test_a_stack_is_told_as_such_with_the_command_that_cuts_it(stacks, tmp_path):
    data, masks = stacks
    message = (
        r"labels\.tif: \d+ pixels are set in several of the 6 pages.*stack of 6 slices. Cut it"
    )
    with pytest.raises(MaskValueError, match=message) as refused:
        MaskCodec.infer([data / "masks" / "train-labels.tif"])
    finding = audit(data).errors[0]
    assert finding.code == "not-a-mask"
    assert "stack of 6 slices" in finding.message
    command = str(refused.value).split("python ")[1].split(" (the image")[0]
    assert command == f'-m fastunet.io.cut_stack "{data / "masks" / "train-labels.tif"}" cut/masks'
    for kind, name in (("images", "train-volume"), ("masks", "train-labels")):
        words = ["-m", "fastunet.io.cut_stack", data / kind / f"{name}.tif", f"cut/{kind}"]
        subprocess.run([sys.executable, *words], cwd=tmp_path, check=True, capture_output=True)
    report = audit(tmp_path / "cut")
    assert (report.pairs, report.task) == (6, "binary")
    np.testing.assert_array_equal(read_image(tmp_path / "cut/masks/003.png")[..., 0], masks[3])


def test_slices_of_class_indices_are_told_as_such_too(tmp_path):
    labels = np.random.default_rng(0).integers(0, 4, (6, 20, 30)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", labels, photometric="minisblack")
    with pytest.raises(MaskValueError, match=r"values 0\.\.3 is not a mask.*stack of 6 slices"):
        MaskCodec.infer([tmp_path / "x.tif"])
    np.save(tmp_path / "x.npy", np.moveaxis(labels, 0, -1))
    with pytest.raises(MaskValueError, match="slices of a stack, save each slice as a file"):
        MaskCodec.infer([tmp_path / "x.npy"])


def test_nothing_that_exists_is_written_over(stacks, tmp_path):
    file = stacks[0] / "masks" / "train-labels.tif"
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    for folder, message in (("there", "exists already"), ("file/x", "cannot be made")):
        with pytest.raises(ImageReadError, match=message):
            cut_stack(file, tmp_path / folder)
    tifffile.imwrite(tmp_path / "one.tif", np.zeros((8, 9), np.uint8))
    with pytest.raises(ImageReadError, match="holds one picture"):
        cut_stack(tmp_path / "one.tif", tmp_path / "new")
    assert not (tmp_path / "new").exists()
