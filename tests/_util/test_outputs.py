"""What a command is about to write is checked before the first file."""

import os
import subprocess
import unicodedata
from pathlib import Path

import pytest

from fastunet._util.files import write_atomically
from fastunet._util.outputs import Output, check_outputs
from fastunet.errors import OutputError


def outputs(*paths):
    return [Output(path, f"the mask of {path.stem}.jpg") for path in paths]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB; the test is skipped where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_found_before_anything_is_written(small_disk):
    with pytest.raises(OutputError, match="the disk is full; make room"):
        write_atomically(small_disk / "x", bytes(100_000))
    assert list(small_disk.iterdir()) == []
    (small_disk / "y").write_bytes(bytes(64 * 1024))
    with pytest.raises(OutputError, match="the disk is full; make room"):
        check_outputs(outputs(small_disk / "x"))
    assert [f.name for f in small_disk.iterdir()] == ["y"]


def test_free_places_are_accepted_and_nothing_is_left_of_the_check(tmp_path):
    check_outputs(outputs(tmp_path / "new/folder/x.png", tmp_path / "y.png"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_exists_is_replaced_unless_asked_for(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(5)]
    for file in files:
        file.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"5 files exist already: .*2\.png and 2 more\..*--overw"):
        check_outputs(outputs(*files))
    check_outputs(outputs(*files), overwrite=True)
    assert {file.read_bytes() for file in files} == {b"mine"}


@pytest.mark.parametrize("how", ["itself", "symlink", "hard link", "linked folder", "dots"])
def test_an_input_is_never_replaced_by_whatever_name(tmp_path, how):
    (tmp_path / "in").mkdir()
    source = tmp_path / "in/x.png"
    source.write_bytes(b"mine")
    target = tmp_path / "out/x.png"
    if how == "itself":
        target = source
    elif how == "dots":
        target = tmp_path / "in/../in/x.png"
    elif how == "linked folder":
        (tmp_path / "out").symlink_to("in")
    else:
        target.parent.mkdir()
        target.symlink_to(source) if how == "symlink" else os.link(source, target)
    with pytest.raises(OutputError, match=r"in/x\.png is read by this command"):
        check_outputs(outputs(target), [source], overwrite=True)


def test_inputs_are_only_looked_for_where_a_file_is_there(tmp_path):
    def inputs():
        raise AssertionError("they were looked for")
        yield

    check_outputs(outputs(tmp_path / "x.png"), inputs())


def test_two_outputs_are_never_one_file(tmp_path):
    twice = [Output(tmp_path / "x.png", "the mask of a"), Output(tmp_path / "x.png", "that of b")]
    with pytest.raises(OutputError, match=r"x\.png would be written twice: the mask of a, and th"):
        check_outputs(twice, overwrite=True)


def test_names_that_differ_by_case_are_two_where_the_disk_says_so(tmp_path):
    both = outputs(tmp_path / "x.png", tmp_path / "X.png")
    (tmp_path / "probe").touch()
    if (tmp_path / "PROBE").exists():
        with pytest.raises(OutputError, match="written twice"):
            check_outputs(both)
    else:
        check_outputs(both)


def test_a_place_that_takes_no_file_is_found_before(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "x.png").mkdir()
    for path in (tmp_path / "file/x.png", tmp_path / "file/below/x.png"):
        with pytest.raises(OutputError, match="a file where a folder was meant"):
            check_outputs(outputs(path))
    with pytest.raises(OutputError, match=r"x\.png is a folder"):
        check_outputs(outputs(tmp_path / "x.png"), overwrite=True)
    if Path("/proc").is_dir():
        with pytest.raises(OutputError, match=r"/proc/fastunet cannot be written"):
            check_outputs(outputs(Path("/proc/fastunet/x.png")))


NFC, NFD = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))


def touch(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_outputs_of_one_name_are_refused_on_every_system(tmp_path):
    planned = [Output(tmp_path / f"{form}.png", f"the mask of {form}.tif") for form in (NFC, NFD)]
    with pytest.raises(OutputError, match=r"M\\xfcller\.tif, and the mask of Mu\\u0308ller\.tif"):
        check_outputs(planned)
