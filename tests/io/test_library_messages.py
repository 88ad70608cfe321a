"""What image libraries print by themselves, gathered into one line."""

import logging
import os
import subprocess
import sys
import warnings

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from fastunet._util.threads import in_threads
from fastunet.checks.audit import audit
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import ImageReadError
from fastunet.io.images import read_image
from fastunet.io.library_messages import gathered_messages

UNKNOWN_TAG = [(65_000, "s", 0, "of a microscope", True)]


@pytest.fixture(autouse=True)
def talkative():
    """OpenCV as it is in a new process."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_WARNING)
    yield
    cv2.utils.logging.setLogLevel(level)


@pytest.fixture
def noisy(write_pairs):
    """Twelve TIFFs with a tag that libtiff does not know, and their masks."""
    root = write_pairs(12)
    for file in sorted((root / "images").iterdir()):
        options = {"photometric": "minisblack", "extratags": UNKNOWN_TAG}
        tifffile.imwrite(file.with_suffix(".tif"), read_image(file)[..., 0], **options)
        file.unlink()
    return root


def read_all(files):
    with gathered_messages():
        list(in_threads(read_image, files))


def images_of(root):
    return sorted((root / "images").iterdir())


def test_without_gathering_there_is_a_line_for_each_file(noisy, capfd):
    for file in (noisy / "images").iterdir():
        read_image(file)
    assert capfd.readouterr().err.count("Unknown field with tag 65000") == 12


def test_messages_of_many_files_are_one_line_with_their_number(noisy, capfd):
    with pytest.warns(UserWarning, match=r"said 12 times: TIFFReadDirectory: Unknown") as told:
        read_all(images_of(noisy))
    assert len(told) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "read",
    [
        lambda root: audit(root, progress=False),
        lambda root: ImageMaskDataLoaders.from_folder(root, size=32, progress=False),
    ],
    ids=["audit", "from_folder"],
)
def test_a_whole_data_set_is_read_with_one_line_and_later_epochs_with_none(noisy, capfd, read):
    with pytest.warns(UserWarning, match="image libraries said") as told:
        read(noisy)
    assert len([one for one in told if "image libraries" in str(one.message)]) == 1
    read_image(next((noisy / "images").iterdir()))
    assert capfd.readouterr().err == ""


def test_several_kinds_of_messages_are_counted(noisy, tmp_path):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "x.png", icc_profile=bytes(200))
    with pytest.warns(UserWarning, match="said 12 times.*and 1 other messages"):
        read_all([*images_of(noisy), tmp_path / "x.png"])


def test_what_no_image_library_says_is_passed_on(capfd):
    with gathered_messages():
        os.write(2, b"a message of the driver\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "a message of the driver\n"


def test_a_file_that_cannot_be_read_is_an_error_with_its_name(noisy):
    broken = noisy / "images" / "03.tif"
    broken.write_bytes(broken.read_bytes()[:900])
    with (
        pytest.warns(UserWarning, match="image libraries said"),
        pytest.raises(ImageReadError, match=r"03\.tif"),
    ):
        read_all(images_of(noisy))


def test_passes_within_passes_are_told_once(noisy, recwarn):
    files = sorted((noisy / "images").iterdir())
    with gathered_messages():
        with gathered_messages():
            read_image(files[0])
        assert not recwarn.list
        read_image(files[1])
    assert ["said 2 times" in str(one.message) for one in recwarn.list] == [True]


def test_python_logging_of_the_libraries_is_gathered_too(monkeypatch):
    monkeypatch.setattr(logging.getLogger("tifffile"), "propagate", False)
    with pytest.warns(UserWarning, match="said once: odd tag"), gathered_messages():
        logging.getLogger("tifffile").warning("odd tag")


def test_bars_and_warnings_go_on_while_messages_are_kept(tmp_path):
    """In a process of its own, whose stderr is descriptor 2."""
    code = """
import os, sys, warnings
from fastunet.io.library_messages import gathered_messages
with gathered_messages():
    print("bar", file=sys.stderr, flush=True)
    kept = sys.stderr
    os.write(2, b"libpng warning: iCCP: too short\\n" * 3)
print("after", file=kept, flush=True)
os.write(2, b"from C\\n")
"""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True
    )
    lines = done.stderr.splitlines()
    assert lines[0] == "bar"
    assert "said 3 times: libpng warning: iCCP: too short" in lines[1]
    assert lines[-2:] == ["after", "from C"]
    assert "ResourceWarning" not in done.stderr


def test_a_process_without_stderr_reads_all_the_same(noisy):
    code = f"""
import os
os.close(2)
from fastunet.checks.audit import audit
assert audit({str(noisy)!r}, progress=False).ok
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_nothing_is_said_where_nothing_was(write_pairs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        audit(write_pairs(4), progress=False)
