"""What an audit says of masks that are too fine for the network's size."""

import cv2
import numpy as np
import pytest

from fastunet.checks.audit import audit


@pytest.fixture
def thin(write_pairs, write):
    """Six pairs of lines one pixel wide that end anywhere."""
    root = write_pairs(6)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        corners = [rng.integers(0, 512, (4, 1, 2)).astype(np.int32) for _ in range(3)]
        mask = cv2.polylines(np.zeros((512, 512), np.uint8), corners, False, 255, 1)
        write(root / f"masks/{seed:02d}.png", mask)
        write(root / f"images/{seed:02d}.png", np.where(mask > 0, 180, 60).astype(np.uint8))
    return root


def test_the_audit_finds_the_loss_and_its_numbers_are_plain_json(thin):
    report = audit(thin, size=128, progress=False)
    (loss,) = [finding for finding in report.findings if finding.code == "resolution-loss"]
    assert loss.severity == "warning"
    assert loss.remedy.startswith("Pass size=")
    assert report.ok
    said = report.to_dict()["resolution"]
    assert (said["size"], said["policy"], said["masks"]) == ([128, 128], "resize", 6)
    assert said["best_dice"]["foreground"] < 0.5 < said["best_dice"]["background"]
    assert said["vanished"].keys() == {"background", "foreground"}
    assert "resized to 128x128, masks allow a Dice of 0." in str(report)
    mended = audit(thin, patch=128, progress=False)
    assert "resolution-loss" not in {finding.code for finding in mended.findings}
    assert mended.resolution.best_dice == (1.0, 1.0)


def test_masks_that_cannot_be_read_do_not_stop_the_audit(write_pairs, read, write):
    root = write_pairs(20, size=(128, 128))
    stray = read(root / "masks/01.png")
    stray[:8, :8] = 77
    write(root / "masks/01.png", stray)
    (root / "masks/02.png").write_bytes(b"")
    report = audit(root, size=32, progress=False)
    assert {"unknown-value", "empty-file"} <= {finding.code for finding in report.findings}
    assert report.resolution.masks == 18


def test_a_quick_audit_does_not_measure_it(thin):
    report = audit(thin, size=64, quick=True, progress=False)
    assert report.resolution is None
    assert report.to_dict()["resolution"] is None
