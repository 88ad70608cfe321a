"""Masks that lie wrong: shifted, exchanged, flipped, inverted."""

import numpy as np
import pytest

from fastunet.checks.audit import audit

SIZE = (96, 128)


def move(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    return np.roll(mask, (down, right), (0, 1))


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2)])
def test_masks_that_are_shifted_as_a_whole(write_pairs, values, read, write, found):
    root = write_pairs(10, values, (160, 200))
    assert found(audit(root)) == {}
    for file in (root / "masks").iterdir():
        write(file, move(read(file), 5, -4))
    report = audit(root)
    assert found(report) == {"shifted": "warning"}
    assert "moved by 5 pixels up and 4 right" in report.findings[0].message


def test_one_mask_that_is_shifted(write_pairs, read, write, found, files):
    root = write_pairs(12, size=(160, 200))
    write(root / "masks/07.png", move(read(root / "masks/07.png"), -9, 7))
    report = audit(root)
    assert found(report) == {"shifted-mask": "warning"}
    assert files(report, "shifted-mask") == {"masks/07.png"}


def test_faint_vessels_fit_their_retina_and_exchanged_ones_are_found(
    tmp_path, write, found, files, retina_and_vessels
):
    root = tmp_path / "data"
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    drawn = [retina_and_vessels(seed) for seed in range(16)]
    for number, (picture, vessels) in enumerate(drawn):
        write(root / f"images/{number:02d}.png", picture)
        write(root / f"masks/{number:02d}.png", vessels)
    assert found(audit(root)) == {}
    write(root / "masks/03.png", drawn[4][1])
    write(root / "masks/04.png", drawn[3][1])
    report = audit(root)
    assert found(report) == {"mask-of-another": "warning"}
    assert files(report, "mask-of-another") == {"masks/03.png", "masks/04.png"}


def test_masks_that_were_swapped_and_one_that_was_flipped(write_pairs, read, write, found, files):
    root = write_pairs(16, size=(160, 200))
    three, four = read(root / "masks/03.png"), read(root / "masks/04.png")
    write(root / "masks/03.png", four)
    write(root / "masks/04.png", three)
    write(root / "masks/09.png", read(root / "masks/09.png")[::-1])
    report = audit(root)
    assert found(report) == {"mask-of-another": "warning"}
    assert files(report, "mask-of-another") == {"masks/03.png", "masks/04.png", "masks/09.png"}


def test_one_mask_that_is_turned_inside_out(write_pairs, read, write, found, files):
    root = write_pairs(12, size=SIZE)
    write(root / "masks/07.png", 255 - read(root / "masks/07.png"))
    report = audit(root)
    assert found(report) == {"inverted": "warning"}
    assert files(report, "inverted") == {"masks/07.png"}


def test_dark_objects_among_bright_ones_are_not_turned_inside_out(write_pairs, read, write, found):
    root = write_pairs(12, size=SIZE)
    for name in ("03", "07"):
        write(root / f"images/{name}.png", 255 - read(root / f"images/{name}.png"))
    assert found(audit(root)) == {}
