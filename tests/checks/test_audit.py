"""What an audit says of a folder, and where it can say nothing."""

import json
import pickle

import cv2
import numpy as np
import pytest

from fastunet import find_pairs
from fastunet._util.threads import in_threads
from fastunet.checks.audit import audit
from fastunet.errors import PairingError

SIZE = (96, 128)


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2), (0, 1, 2, 255)])
def test_clean_data_have_no_findings(write_pairs, values, split, found):
    report = audit(split(write_pairs(16, values, SIZE), ["01", "05", "09", "12"]))
    assert found(report) == {}
    assert report.ok
    assert report.void == ((255,) if 255 in values and len(values) > 2 else ())


def test_a_clean_audit_says_what_the_data_are(write_pairs, read):
    root = write_pairs(10, size=SIZE)
    report = audit(root)
    assert report.to_dict() == {
        "layout": "images + masks",
        "pairs": 10,
        "splits": {},
        "task": "binary",
        "encoding": "two values",
        "classes": ["background", "foreground"],
        "void": [],
        "channels": 3,
        "bit_depth": 8,
        "sizes": {"96x128": 10},
        "class_frequencies": report.class_frequencies,
        "resolution": report.resolution.to_dict(),
        "findings": [],
    }
    share = np.mean([read(file) == 255 for file in (root / "masks").iterdir()])
    assert report.class_frequencies["all"]["foreground"] == pytest.approx(share, abs=1e-6)
    pixels = np.stack([read(file) for file in (root / "images").iterdir()])[..., ::-1]
    assert report.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), rel=1e-5)
    assert report.std == pytest.approx(pixels.std(axis=(0, 1, 2)), rel=1e-5)
    text = str(report)
    assert "96x128 (height x width), 3 channels, 8 bit" in text
    assert text.endswith(f"No errors. Next: fastunet train {root}")


def test_pairs_may_be_given_instead_of_a_folder(write_pairs, files):
    root = write_pairs(6, size=SIZE)
    (root / "masks/02.png").write_bytes(b"")
    for pairs in (find_pairs(root), list(find_pairs(root))):
        assert files(audit(pairs), "empty-file") == {"masks/02.png"}


def test_a_missing_folder_or_layout_is_refused(tmp_path):
    with pytest.raises(PairingError, match="missing"):
        audit(tmp_path / "nowhere")
    with pytest.raises(PairingError):
        audit(tmp_path)


def test_folders_in_which_nothing_pairs_are_an_error_in_the_report(write_pairs, found):
    root = write_pairs(3)
    for i, file in enumerate(sorted((root / "masks").iterdir())):
        file.rename(file.with_name("abc"[i] + "zzz.png"))
    report = audit(root)
    assert found(report) == {"nothing-pairs": "error"}
    assert report.pairs == 0
    assert "1 error to mend" in str(report)
    json.dumps(report.to_dict())


def test_masks_that_cannot_be_understood_are_an_error_and_the_rest_is_told(
    write_pairs, write, found
):
    root = write_pairs(4, size=SIZE)
    for file in (root / "masks").iterdir():
        write(file, np.zeros(SIZE, np.uint8))
    report = audit(root)
    assert found(report) == {"masks-not-understood": "error"}
    assert "hold only 0" in report.errors[0].message
    assert report.task is None
    assert report.sizes == {"96x128": 4}


def test_class_names_that_do_not_fit_are_an_error(write_pairs, found):
    report = audit(write_pairs(4, (0, 100, 200), SIZE), classes=["a", "b"])
    assert found(report) == {"classes-do-not-fit": "error"}
    assert "0, 100, 200" in report.errors[0].message


def test_every_file_may_be_broken(write_pairs, files):
    root = write_pairs(3)
    for kind in ("images", "masks"):
        for file in (root / kind).iterdir():
            file.write_bytes(b"")
    report = audit(root)
    assert len(files(report, "empty-file")) == 6
    report.to_html(root / "report.html")


def test_smoothed_masks_are_told_as_such(write_pairs, read, write):
    root = write_pairs(12, (0, 80, 160, 240), SIZE)
    for file in (root / "masks").iterdir():
        small = cv2.resize(read(file), (64, 48), interpolation=cv2.INTER_AREA)
        write(file, cv2.resize(small, SIZE[::-1]))
    report = audit(root)
    told = {finding.code: finding.message for finding in report.errors}
    assert "saved with smoothing" in told["masks-not-understood"]


def test_objects_that_are_numbered_are_one_class_when_one_says_so(write_pairs, read, write):
    root = write_pairs(8, size=SIZE)
    for file in (root / "masks").iterdir():
        write(file, cv2.connectedComponents(read(file))[1].astype(np.uint8))
    report = audit(root, instances=True)
    assert (report.ok, report.task, report.encoding) == (True, "binary", "instance map")


def test_an_audit_of_many_files_keeps_little_of_each(write_pairs):
    """A record is some kilobytes (three thumbnails), whatever the size of the pictures."""

    from fastunet.scan.pair_stats import examine

    pairs = find_pairs(write_pairs(2, size=(600, 800)))
    for stats in in_threads(examine, pairs, progress=False):
        assert len(pickle.dumps(stats)) < 15_000
