"""Files that fastunet writes: whole or not at all, never over what is there."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from fastunet._util.files import (
    atomic_file,
    fingerprint,
    make_folder,
    read_small,
    write_atomically,
)
from fastunet._util.outputs import Output
from fastunet.errors import OutputError


def outputs(*paths):
    return [Output(path, f"the mask of {path.stem}.jpg") for path in paths]


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


def test_a_file_that_is_written_bit_by_bit_appears_when_it_is_complete(tmp_path):
    with atomic_file(tmp_path / "x", durable=False) as file:
        file.write(b"one ")
        assert not (tmp_path / "x").exists()
        file.write(b"two")
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("x", b"one two")]
    with suppress(KeyboardInterrupt), atomic_file(tmp_path / "y") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert [f.name for f in tmp_path.iterdir()] == ["x"]


def test_a_fingerprint_tells_files_and_settings_apart(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).write_bytes(b"same")
    a, b = tmp_path / "a", tmp_path / "b"
    known = fingerprint([a], {"size": 2, "bands": 3})
    assert fingerprint([a], {"bands": 3, "size": 2}) == known
    monkeypatch.chdir(tmp_path)
    assert fingerprint([Path("a")], {"size": 2, "bands": 3}) == known
    assert fingerprint([a], {"size": 2}) != known
    assert fingerprint([a], {"size": 2}) != fingerprint([b], {"size": 2})
    a.write_bytes(b"changed")
    assert fingerprint([a], {"size": 2, "bands": 3}) != known


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: None, "cannot be read: it does not exist"),
        (lambda file: file.mkdir(), "is a folder; a file was expected"),
        (lambda file: os.mkfifo(file), "is a pipe"),
        (lambda file: file.write_bytes(bytes(11)), "has 11 bytes; at most 10"),
    ],
)
def test_only_a_small_regular_file_is_read(tmp_path, make, said):
    make(tmp_path / "x")
    with pytest.raises(OutputError, match=said):
        read_small(tmp_path / "x", 10, OutputError)
