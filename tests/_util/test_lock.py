"""A folder is held by one process at a time."""

import subprocess
import sys

import pytest

from fastunet._util.lock import LOCK, Lock
from fastunet.errors import OutputError


def test_a_folder_that_is_held_is_refused_until_it_is_given_back(tmp_path):
    lock = Lock.acquire(tmp_path, tmp_path)
    with pytest.raises(OutputError, match="Another training is writing to shown"):
        Lock.acquire(tmp_path, "shown")
    lock.release()
    assert (tmp_path / LOCK).exists()
    Lock.acquire(tmp_path, tmp_path).release(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_process_gives_its_folders_back(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from fastunet._util.lock import Lock; "
        "lock = Lock.acquire(Path(sys.argv[1]), Path()); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert (tmp_path / LOCK).exists()
    lock = Lock.acquire(tmp_path, tmp_path)
    assert not lock.created
    lock.release()
