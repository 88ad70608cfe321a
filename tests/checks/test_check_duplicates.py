"""Images that are there twice, in the report of an audit."""

import shutil
from pathlib import Path

import pytest

from fastunet.checks.audit import audit

SIZE = (96, 128)


def copy_pair(root: Path, old: str, new: str) -> None:
    for kind in ("images", "masks"):
        shutil.copy(root / kind / f"{old}.png", root / kind / f"{new}.png")


def test_copies_are_a_warning_before_a_split_an_error_across_it_and_a_note_within(
    write_pairs, split, found
):
    root = write_pairs(10, size=SIZE)
    copy_pair(root, "03", "copy")
    assert found(audit(root)) == {"duplicate": "warning"}
    assert found(audit(split(root, ["copy", "01"]))) == {"duplicate-across-splits": "error"}
    shutil.rmtree(root.with_name("data-split"))
    assert found(audit(split(root, ["01", "02"]))) == {"duplicate": "note"}


def test_one_picture_with_two_masks_is_an_error(write_pairs, read, write, found, files):
    root = write_pairs(6, size=SIZE)
    copy_pair(root, "03", "copy")
    write(root / "masks/copy.png", 255 - read(root / "masks/03.png"))
    report = audit(root)
    assert found(report)["conflicting-masks"] == "error"
    assert files(report, "conflicting-masks") == {"masks/03.png", "masks/copy.png"}


@pytest.mark.parametrize("change", ["brighter", "compressed", "shifted by a pixel", "noisy"])
def test_a_picture_that_looks_the_same_is_found_across_the_split(
    write_pairs, change, read, write, split, found, files, changes
):
    root = write_pairs(12, size=SIZE)
    copy_pair(root, "03", "again")
    write(root / "images/again.png", changes[change](read(root / "images/03.png")))
    report = audit(split(root, ["again", "01", "07"]))
    assert found(report) == {"near-duplicate-across-splits": "warning"}
    assert files(report, "near-duplicate-across-splits") == {
        "train/images/03.png",
        "val/images/again.png",
    }
