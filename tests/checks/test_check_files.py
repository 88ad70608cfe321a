"""Files that do not open, and masks that do not fit."""

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.checks.audit import audit
from fastunet.checks.check_files import size_text

SIZE = (96, 128)


def test_a_size_is_written_height_first():
    assert size_text((96, 128)) == "96x128"


@pytest.mark.parametrize("quick", [True, False])
def test_files_that_are_empty_or_end_early(write_pairs, found, files, quick):
    root = write_pairs(6, size=SIZE)
    (root / "masks/01.png").write_bytes(b"")
    for name in ("02", "03"):
        whole = (root / f"images/{name}.png").read_bytes()
        (root / f"images/{name}.png").write_bytes(whole[: len(whole) // 2])
    report = audit(root, quick=quick)
    assert found(report) == {"empty-file": "error", "truncated": "error"}
    assert files(report, "truncated") == {"images/02.png", "images/03.png"}
    empty, cut = report.errors
    assert empty.message.startswith("1 file holds no bytes: masks/01.png.")
    assert cut.message.startswith("2 files end early")


def test_a_file_that_is_no_image_is_told_with_the_reason(write_pairs, files):
    root = write_pairs(4, size=SIZE)
    (root / "images/01.png").write_text("no image")
    report = audit(root)
    assert files(report, "unreadable") == {"images/01.png"}
    assert str(root) not in report.errors[0].message


def test_five_sizes_that_do_not_fit_are_named_and_the_rest_counted(write_pairs, read, write):
    root = write_pairs(8, size=SIZE)
    for i in range(7):
        mask = root / f"masks/{i:02d}.png"
        write(mask, read(mask)[:90])
    (error,) = audit(root).errors
    assert error.code == "size-mismatch"
    assert error.message.startswith(
        "7 masks do not have the size of the image (height x width): images/00.png 96x128, mask "
        "90x128; images/01.png"
    )
    assert error.message.endswith("images/04.png 96x128, mask 90x128 and 2 more.")
    assert len(error.files) == 7


def test_masks_of_photos_as_stored_are_a_note(write_pairs, read, found):
    root = write_pairs(6, size=SIZE)
    exif = Image.Exif()
    exif[0x112] = 6  # turned by a quarter
    photo = cv2.cvtColor(read(root / "images/02.png"), cv2.COLOR_BGR2RGB)
    (root / "images/02.png").unlink()
    Image.fromarray(np.ascontiguousarray(photo)).save(root / "images/02.jpg", exif=exif, quality=95)
    report = audit(root)
    assert found(report) == {"exif-rotation": "note"}
    assert report.findings[0].message.startswith("1 photo is turned by an EXIF tag")
