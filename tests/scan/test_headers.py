"""What the outside of a file tells."""

import cv2
import numpy as np
import pytest

from fastunet.scan.headers import cut_short, file_fault

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)


@pytest.mark.parametrize("by_header", [True, False])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_the_end_of_a_file_is_missed(tmp_path, suffix, by_header):
    file = tmp_path / f"a{suffix}"
    cv2.imwrite(str(file), PICTURE)
    assert cut_short(file, by_header) is None
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    if suffix == ".tif":  # OpenCV writes the directory of a TIFF at its end
        file.write_bytes(whole[:-1])
    fault = cut_short(file, by_header)
    assert suffix == ".tif" or fault.kind == "truncated"


def test_missing_and_empty_files_are_faults_of_their_own(tmp_path):
    assert file_fault(tmp_path / "no.png").kind == "unreadable"
    (tmp_path / "empty.png").touch()
    assert file_fault(tmp_path / "empty.png").kind == "empty-file"
    (tmp_path / "a.txt").write_text("a")
    assert file_fault(tmp_path / "a.txt") is None
