"""A data set with everything wrong that can be: each fault is found, named, and left as it is."""

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.checks.audit import audit

SIZE = (96, 128)


def fingerprints(root: Path) -> dict[str, str]:
    """Every file below a folder, its content and its time of change."""
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        + str(file.stat().st_mtime_ns)
        for file in sorted(root.rglob("*"))
        if file.is_file()
    }


def read(file: Path) -> np.ndarray:
    return cv2.imread(str(file), cv2.IMREAD_UNCHANGED)


def write(file: Path, pixels: np.ndarray) -> None:
    assert cv2.imwrite(str(file), pixels)


@pytest.fixture
def torture(write_pairs, tmp_path) -> Path:
    """30 pairs of 0 and 255 in train/ and val/, each fault in the file that is named after it."""
    source = write_pairs(30, size=SIZE, folder="source")
    root = tmp_path / "torture"
    faults = "truncated zero wider value77 exif_upright exif_stored deep jpegmask twice"
    names = [*faults.split(), "name.with.dots", "tail", "picture"]
    names += [f"good{i:02d}" for i in range(18)]
    for i, name in enumerate(names):
        part = root / ("val" if i >= 24 else "train")
        for kind in ("images", "masks"):
            (part / kind).mkdir(parents=True, exist_ok=True)
            shutil.move(source / kind / f"{i:02d}.png", part / kind / f"{name}.png")
    images, masks = root / "train/images", root / "train/masks"

    jpeg = cv2.imencode(".jpg", read(images / "truncated.png"))[1].tobytes()
    (images / "truncated.png").unlink()
    (images / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])

    png = (images / "tail.png").read_bytes()
    (images / "tail.png").write_bytes(png[: len(png) * 2 // 3])

    (masks / "zero.png").write_bytes(b"")

    narrow = read(masks / "wider.png")
    write(masks / "wider.png", cv2.copyMakeBorder(narrow, 0, 0, 0, 3, cv2.BORDER_REPLICATE))

    stray = read(masks / "value77.png")
    stray[:2, :5] = 77
    write(masks / "value77.png", stray)

    for name in ("exif_upright", "exif_stored"):  # the tag turns the photo by a quarter
        photo = Image.open(images / f"{name}.png").convert("RGB")
        exif = Image.Exif()
        exif[0x112] = 6
        photo.save(images / f"{name}.jpg", exif=exif, quality=95)
        (images / f"{name}.png").unlink()
    write(masks / "exif_upright.png", np.rot90(read(masks / "exif_upright.png"), -1))

    write(images / "deep.tiff", read(images / "deep.png").astype(np.uint16) * 257)
    (images / "deep.png").unlink()

    write(masks / "jpegmask.jpg", read(masks / "jpegmask.png"))
    (masks / "jpegmask.png").unlink()

    shutil.copy(images / "twice.png", root / "val/images/again.png")
    shutil.copy(masks / "twice.png", root / "val/masks/again.png")

    write(masks / "picture.png", cv2.cvtColor(read(images / "picture.png"), cv2.COLOR_BGR2GRAY))

    shutil.copy(images / "good00.png", images / "orphan_image.png")
    shutil.copy(masks / "good00.png", masks / "mask_without_image.png")
    return root


def test_every_fault_is_found_and_named_and_nothing_on_disk_changes(torture):
    before = fingerprints(torture)
    report = audit(torture)
    report.to_html(torture.parent / "report.html")
    assert fingerprints(torture) == before

    found = {finding.code: finding for finding in report.findings}
    named = {code: set(finding.files) for code, finding in found.items()}
    assert named == {
        "truncated": {"train/images/truncated.jpg", "train/images/tail.png"},
        "empty-file": {"train/masks/zero.png"},
        "size-mismatch": {"train/masks/wider.png"},
        "unknown-value": {"train/masks/value77.png"},
        "exif-rotation": {"train/images/exif_stored.jpg"},
        "mixed-depth": {"train/images/deep.tiff"},
        "lossy-mask": {"train/masks/jpegmask.jpg"},
        "duplicate-across-splits": {"train/images/twice.png", "val/images/again.png"},
        "mask-is-image": {"train/masks/picture.png"},
        "unpaired-image": {"train/images/orphan_image.png"},
        "unpaired-mask": {"train/masks/mask_without_image.png"},
    }
    assert {code for code, finding in found.items() if finding.severity == "error"} == {
        "truncated",
        "empty-file",
        "size-mismatch",
        "unknown-value",
        "duplicate-across-splits",
        "mask-is-image",
    }
    assert "77 (10 pixels in train/masks/value77.png)" in found["unknown-value"].message
    assert "96x128, mask 96x131" in found["size-mismatch"].message
    assert all(finding.remedy for finding in report.findings)

    # what is right in between is understood all the same
    assert report.encoding == "two values"
    assert report.classes == ("background", "foreground")
    assert report.pairs == 31  # name.with.dots among them
    assert report.splits == {"train": 24, "valid": 7}
    assert report.bit_depth == (8, 16)
    assert not report.ok


def test_the_quick_look_finds_what_names_and_headers_tell(torture):
    before = fingerprints(torture)
    report = audit(torture, quick=True)
    assert fingerprints(torture) == before
    named = {finding.code: set(finding.files) for finding in report.findings}
    assert named == {
        "empty-file": {"train/masks/zero.png"},
        "truncated": {"train/images/truncated.jpg", "train/images/tail.png"},
        "size-mismatch": {"train/masks/wider.png"},
        "exif-rotation": {"train/images/exif_stored.jpg"},
        "unpaired-image": {"train/images/orphan_image.png"},
        "unpaired-mask": {"train/masks/mask_without_image.png"},
    }
    assert report.task is None


def with_palette(indices: np.ndarray, palette: list[int], file: Path) -> None:
    mask = Image.fromarray(indices, "P")
    mask.putpalette(palette)
    mask.save(file)


def test_a_palette_in_another_order_is_read_by_its_colours(write_pairs):
    root = write_pairs(8, (0, 1, 2), SIZE)
    for file in sorted((root / "masks").iterdir()):
        indices = read(file)
        if file.stem == "03":  # the same colours, listed the other way round
            with_palette(2 - indices, [0, 0, 255, 255, 0, 0, 0, 0, 0], file)
        else:
            with_palette(indices, [0, 0, 0, 255, 0, 0, 0, 0, 255], file)
    plain = audit(write_pairs(8, (0, 1, 2), SIZE, folder="plain"))
    report = audit(root)
    assert report.ok
    assert set(report.classes) == {"#000000", "#ff0000", "#0000ff"}
    shares = report.class_frequencies["all"]
    expected = plain.class_frequencies["all"]
    assert shares["#000000"] == expected["0"]
    assert shares["#ff0000"] == expected["1"]
    assert shares["#0000ff"] == expected["2"]


def test_one_bit_masks_are_two_values(write_pairs):
    root = write_pairs(6, size=SIZE)
    for file in (root / "masks").iterdir():
        Image.fromarray(read(file) > 0).save(file)
    report = audit(root)
    assert (report.ok, report.task, report.encoding) == (True, "binary", "two values")


def test_a_colour_table_that_does_not_match_names_the_colours_that_are_there(write_pairs):
    root = write_pairs(6, (0, 1, 2), SIZE)
    colours = np.array([[0, 0, 0], [0, 0, 255], [0, 255, 0]], np.uint8)  # BGR
    for file in (root / "masks").iterdir():
        write(file, colours[read(file)])
    table = {"soil": "#000000", "weed": "#ff0000", "crop": "#0000ff"}
    report = audit(root, classes=table)
    found = {finding.code: finding for finding in report.findings}
    unknown = found["unknown-value"]
    files = sorted((root / "masks").iterdir())
    green = {f"masks/{file.name}": (read(file) == (0, 255, 0)).all(2).sum() for file in files}
    pixels = sum(green.values())
    holders = [name for name, count in green.items() if count]
    assert f"#00ff00 ({pixels} pixels in masks/00.png" in unknown.message
    assert list(unknown.files) == holders
    assert "crop" in found["absent-class"].message
    assert report.classes == ("soil", "weed", "crop")


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2), (0, 1, 2, 255), (0, 100, 200)])
def test_a_stray_value_breaks_no_encoding(write_pairs, values):
    root = write_pairs(12, values, SIZE)
    mask = read(root / "masks/05.png")
    mask[0, :1] = 77
    write(root / "masks/05.png", mask)
    report = audit(root)
    assert [(f.code, f.files) for f in report.errors] == [("unknown-value", ("masks/05.png",))]
    assert "77 (1 pixel in masks/05.png)" in report.errors[0].message
    clean = audit(write_pairs(12, values, SIZE, folder="clean"))
    assert (report.classes, report.void) == (clean.classes, clean.void)
    assert clean.ok


def test_a_value_that_is_next_to_nothing_in_several_files_is_no_class_either(write_pairs):
    root = write_pairs(20, (0, 255), SIZE)
    for name in ("03", "08", "13"):
        mask = read(root / f"masks/{name}.png")
        mask[0, :2] = 254
        write(root / f"masks/{name}.png", mask)
    (error,) = audit(root).findings
    assert error.code == "unknown-value"
    assert "254 (6 pixels in masks/03.png, masks/08.png and 1 more)" in error.message


def test_a_class_that_is_rare_is_kept_where_the_indices_show_that_it_belongs(write_pairs):
    root = write_pairs(12, (0, 1, 3), SIZE)
    mask = read(root / "masks/05.png")
    mask[0, :2] = 2
    write(root / "masks/05.png", mask)
    report = audit(root)
    assert report.classes == ("0", "1", "2", "3")
    assert {finding.code for finding in report.findings} == {"rare-class"}
