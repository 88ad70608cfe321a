"""Folders appear, change places and go as a whole."""

from contextlib import suppress

import pytest

from fastunet._util.folders import atomic_folder, make_missing, remove_empty, swap
from fastunet.errors import OutputError


def test_a_folder_appears_when_it_is_complete(tmp_path):
    place = tmp_path / "new" / "x"
    with atomic_folder(place) as partial:
        (partial / "a").write_text("whole")
        assert not place.exists()
    assert (place / "a").read_text() == "whole"
    assert [entry.name for entry in place.parent.iterdir()] == ["x"]


def test_a_folder_that_cannot_be_completed_leaves_nothing(tmp_path):
    with suppress(KeyboardInterrupt), atomic_folder(tmp_path / "x") as partial:
        (partial / "a").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_make_a_folder_the_faster_ones_stays(tmp_path):
    with atomic_folder(tmp_path / "x") as slow:
        (slow / "a").write_text("slow")
        with atomic_folder(tmp_path / "x") as fast:
            (fast / "a").write_text("fast")
    assert (tmp_path / "x/a").read_text() == "fast"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    below, there = atomic_folder(tmp_path / "file" / "x"), atomic_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="a file where a folder was meant"), below:
        pass
    with pytest.raises(OutputError, match="file cannot be written"), there:
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_two_folders_change_places(tmp_path):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    left = swap(tmp_path / "new", tmp_path / "old", tmp_path / "aside")
    assert [entry.name for entry in (tmp_path / "old").iterdir()] == ["new"]
    assert [entry.name for entry in left.iterdir()] == ["old"]


def test_only_what_was_made_and_is_empty_is_removed_again(tmp_path):
    (tmp_path / "a").mkdir()
    made = make_missing(tmp_path / "a/b/c")
    assert made == [tmp_path / "a/b/c", tmp_path / "a/b"]
    (tmp_path / "a/b/file").touch()
    remove_empty(made)
    assert [entry.name for entry in (tmp_path / "a/b").iterdir()] == ["file"]
