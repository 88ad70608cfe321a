"""Which pixels of a turned photo its mask fits."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.checks.audit import audit
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.data.reader import read_pair
from fastunet.errors import OptionError, PairingError
from fastunet.io.images import upright_from
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.pairs.pair import Pair
from fastunet.scan.agreement import Agreement, better

QUIET = {"progress": False}


@pytest.fixture
def photos(tmp_path, draw_blobs):
    """Write photos with an EXIF orientation, and masks of them upright or as stored."""

    def write(masks, orientation=6, n=6, size=(64, 64), first=0, plain=False):
        for kind in ("images", "masks"):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
        for i in range(first, first + n):
            image, mask = draw_blobs(np.random.default_rng(i), size, 2, 3)
            exif = Image.Exif()
            exif[0x112] = orientation
            image = np.full_like(image, 90) if plain else image
            Image.fromarray(image).save(tmp_path / f"data/images/{i}.jpg", exif=exif, quality=95)
            if masks == "upright":
                mask = upright_from(mask, orientation)
            cv2.imwrite(str(tmp_path / f"data/masks/{i}.png"), np.ascontiguousarray(mask * 255))
        return tmp_path / "data"

    return write


def load(root, **how):
    return ImageMaskDataLoaders.from_folder(root, size=64, bs=2, **QUIET, **how)


@pytest.mark.parametrize("orientation", [2, 3, 5, 6])
def test_masks_that_fit_as_stored_are_a_question_in_training_and_in_audit(photos, orientation):
    root = photos("stored", orientation)
    said = r"6 of the photos .*: 0\.jpg.*fit the photos with the pixels as stored"
    with pytest.raises(PairingError, match=said + '.*orientation="stored"'):
        load(root)
    (finding,) = [one for one in audit(root, **QUIET).errors if one.code == "exif-orientation"]
    assert finding.count == 6
    assert 'orientation="upright"' in finding.remedy


def test_the_answer_decides_what_is_trained_and_is_kept_with_the_model(photos):
    root = photos("stored")
    assert audit(root, orientation="stored", **QUIET).ok
    dls = load(root, orientation="stored")
    assert dls.preprocess.orientation == "stored"
    codec = MaskCodec(("a", "b"), (0, 255))
    contrast = {}
    for orientation in ("upright", "stored"):
        image, mask = read_pair(find_pairs(root)[0], codec, orientation)
        contrast[orientation] = image[mask == 1].mean() - image[mask == 0].mean()
    assert contrast["stored"] > 150 > contrast["upright"]
    assert load(root, orientation="upright").preprocess.orientation == "upright"


@pytest.mark.parametrize("orientation", [3, 6])
def test_masks_that_fit_upright_are_read_so_without_a_word(photos, orientation, recwarn):
    root = photos("upright", orientation)
    assert load(root).preprocess.orientation == "upright"
    assert not [one for one in recwarn.list if "EXIF" in str(one.message)]
    report = audit(root, **QUIET)
    assert {f.severity for f in report.findings if f.code == "exif-orientation"} == {"note"}


def test_where_nothing_tells_it_is_a_warning_that_names_the_answers(photos):
    root = photos("stored", plain=True)
    with pytest.warns(UserWarning, match=r'Nor do their contents.*orientation="stored"'):
        load(root)
    report = audit(root, **QUIET)
    assert {f.severity for f in report.findings if f.code == "exif-orientation"} == {"warning"}
    quick = audit(root, quick=True, **QUIET)
    assert "without --quick" in quick.findings[0].message


def test_photos_on_their_side_decide_for_the_square_ones_among_them(photos):
    photos("stored", plain=True)
    root = photos("stored", size=(48, 64), first=6)
    assert load(root).preprocess.orientation == "stored"
    codes = {f.code: f.severity for f in audit(root, **QUIET).findings}
    assert codes["exif-orientation"] == codes["exif-rotation"] == "note"


def test_photos_on_their_side_are_read_as_their_masks_are_whatever_was_said(photos):
    root = photos("stored", size=(48, 64))
    codec = MaskCodec(("a", "b"), (0, 255))
    for orientation in ("upright", "stored"):
        image, mask = read_pair(
            Pair(root / "images/0.jpg", root / "masks/0.png"), codec, orientation
        )
        assert image.shape[:2] == mask.shape == (48, 64)


def test_other_answers_are_refused(photos):
    with pytest.raises(OptionError, match="orientation='left'"):
        load(photos("stored"), orientation="left")


def test_photos_decide_together():
    assert better([Agreement(0.3, 0.32)]) is None
    assert better([Agreement(0.2, 0.31)] * 12) == "stored"
    assert better([Agreement(0.31, 0.2)] * 12) == "upright"
    assert better([Agreement(0.3, 0.6), Agreement(0.6, 0.3)] * 6) is None
    assert better([Agreement(float("nan"), 0.5)]) is None


def test_the_command_line_takes_the_answer(photos, run, in_tmp):
    photos("stored")
    code, out, _ = run("audit", "data")
    assert code == 1
    assert "--orientation stored" in out
    code, out, _ = run("audit", "data", "--orientation", "stored")
    assert code == 0
    assert out.splitlines()[-1] == "No errors. Next: fastunet train data --orientation stored"
    code, _, err = run("train", "data", "--orientation", "left")
    assert code == 2
    assert "--orientation left: one of upright, stored was expected" in err


def test_training_from_the_command_line_says_where_nothing_tells(photos, in_tmp):
    photos("stored", plain=True)
    command = "-m fastunet train data --epochs 1 --size 32 --width 2"
    done = subprocess.run(
        [sys.executable, *command.split()], capture_output=True, text=True, check=True
    )
    (line,) = [line for line in done.stderr.splitlines() if "EXIF orientation" in line]
    assert line.startswith("fastunet: warning: 6 of the photos")
    assert "Nor do their contents" in line
    assert "--orientation stored if on their pixels" in line
