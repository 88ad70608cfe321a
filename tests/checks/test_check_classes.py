"""Empty masks, and classes that are rare, missing or nowhere."""

import numpy as np

from fastunet.checks.audit import audit

SIZE = (96, 128)


def test_empty_and_void_masks_and_the_reports_of_them(write_pairs, write, found, files):
    root = write_pairs(12, (0, 1, 255), SIZE)
    write(root / "masks/03.png", np.zeros(SIZE, np.uint8))
    write(root / "masks/04.png", np.full(SIZE, 255, np.uint8))
    report = audit(root)
    assert found(report) == {"empty-mask": "note", "void-mask": "warning"}
    assert files(report, "empty-mask") == {"masks/03.png"}
    assert files(report, "void-mask") == {"masks/04.png"}
    assert report.void == (255,)


def test_a_rare_class_and_one_that_a_part_lacks(write_pairs, read, write, split, found):
    root = write_pairs(12, (0, 1, 2), SIZE)
    mask = read(root / "masks/05.png")
    mask[:6, :8] = 3
    write(root / "masks/05.png", mask)
    report = audit(split(root, ["01", "02", "03"]), classes=["soil", "crop", "weed", "stone"])
    assert found(report) == {"rare-class": "warning", "missing-class": "warning"}
    rare, missing = sorted(report.findings, key=lambda finding: finding.code, reverse=True)
    assert "stone (0.033 % of the pixels, 1 image)" in rare.message
    assert rare.files == ("train/masks/05.png",)
    assert "valid: stone" in missing.message


def test_a_class_that_is_nowhere_is_a_warning(write_pairs, found):
    table = {"soil": 0, "crop": 1, "weed": 2}
    report = audit(write_pairs(6, (0, 1), SIZE), classes=table)
    assert found(report) == {"absent-class": "warning"}
    assert "weed" in report.findings[0].message


def test_masks_saved_as_jpeg_are_a_warning(write_pairs, read, write, found):
    root = write_pairs(12, size=SIZE)
    for name in ("03", "04"):
        write(root / f"masks/{name}.jpg", read(root / f"masks/{name}.png"))
        (root / f"masks/{name}.png").unlink()
    report = audit(root)
    assert found(report) == {"lossy-mask": "warning"}
    assert report.findings[0].message.startswith("2 masks are JPEG files: masks/03.jpg,")


def test_of_many_unknown_values_eight_are_named_with_their_pixels(write_pairs, read, write):
    root = write_pairs(12, size=SIZE)
    mask = read(root / "masks/05.png")
    for number in range(10):
        mask[0, : 12 - number] = 50 + number
    write(root / "masks/05.png", mask)
    (error,) = audit(root).errors
    assert error.message.startswith("1 mask holds values that stand for no class: 59 (3 pixels")
    assert " and 2 more values. The classes are 0, 255." in error.message
