"""Files that fastunet writes: whole or not at all, never over what is there."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fastunet._util.cache_folder import cache_folder
from fastunet._util.files import make_folder, write_atomically
from fastunet._util.outputs import Output, check_outputs
from fastunet.errors import OutputError


def outputs(*paths):
    return [Output(path, f"the mask of {path.stem}.jpg") for path in paths]


# --- one file -------------------------------------------------------------------------------------


def test_a_file_is_replaced_as_a_whole_and_nothing_lies_beside_it(tmp_path):
    write_atomically(tmp_path / "x", b"old")
    write_atomically(tmp_path / "x", b"new")
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("x", b"new")]


def test_a_name_as_long_as_the_disk_takes_is_written(tmp_path):
    write_atomically(tmp_path / ("é" * 125 + ".png"), b"x")
    with pytest.raises(OutputError, match="the name is too long"):
        write_atomically(tmp_path / ("é" * 126 + ".png"), b"x")


def test_what_does_not_fit_leaves_the_old_file_and_no_part(tmp_path, files_of_1000_bytes):
    write_atomically(tmp_path / "x", b"old")
    with pytest.raises(OutputError, match=r"x cannot be written: the file is larger"):
        write_atomically(tmp_path / "x", bytes(2000))
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("x", b"old")]


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


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("folder", "it is a folder"),
        ("file/x", "a file where a folder was meant"),
        ("missing/x", "does not exist"),
    ],
)
def test_why_a_file_cannot_be_written_is_said(tmp_path, path, why):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(OutputError, match=why):
        write_atomically(tmp_path / path, b"x")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["file", "folder"]


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path):
    blobs = [bytes([i]) * 50_000 for i in range(16)]
    threads = [
        threading.Thread(target=write_atomically, args=(tmp_path / "x", blob)) for blob in blobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [f.name for f in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() in blobs


def test_a_folder_is_made_unless_a_file_is_there(tmp_path):
    assert make_folder(tmp_path / "a/b").is_dir()
    (tmp_path / "file").write_bytes(b"mine")
    for path in ("file", "file/below"):
        with pytest.raises(OutputError, match="a file where a folder was meant"):
            make_folder(tmp_path / path)


# --- all files of a command -----------------------------------------------------------------------


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


# --- the cache ------------------------------------------------------------------------------------


def test_the_cache_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def test_a_cache_that_cannot_be_made_names_the_variable(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.delenv("FASTUNET_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="FASTUNET_CACHE"):
        make_folder(cache_folder() / "decoded")


def test_without_a_home_nothing_is_written_to_a_folder_called_tilde(tmp_path):
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("only root can become a user that has no home")
    code = (
        "import os, platformdirs.unix; from fastunet._util.cache_folder import cache_folder; "
        "from fastunet.errors import OutputError; os.setuid(54321)\n"
        "try: print(cache_folder())\nexcept OutputError as error: print(error)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    environment.pop("FASTUNET_CACHE", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert "FASTUNET_CACHE" in done.stdout
