"""Folders that appear, change places and go as a whole."""

import ctypes
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from fastunet._util.files import explained, make_folder
from fastunet.errors import OutputError


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to fill, renamed at the end of the block; none where that fails.

    Where another process was faster, its folder stays. Raises `OutputError` where nothing can be
    written there.
    """
    make_folder(path.parent)
    with explained(path):
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield partial
        with explained(path):
            rename_unless_there(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def rename_unless_there(folder: Path, path: Path) -> None:
    """Rename a folder; where another process has put one at `path` already, that one stays."""
    try:
        folder.rename(path)
    except OSError:
        if not path.is_dir():
            raise


def make_missing(folder: Path) -> list[Path]:
    """Make a folder with its parents. Returns those that were missing, the innermost first."""
    missing = list(takewhile(lambda step: not step.exists(), (folder, *folder.parents)))
    try:
        make_folder(folder)
    except OutputError:
        remove_empty(missing)
        raise
    return missing


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove those of the folders that are empty, in this order."""
    for folder in folders:
        with suppress(OSError):  # it is not empty, or gone
            folder.rmdir()


def swap(
    new: Path,
    place: Path,
    aside: Path,  # for what stands at `place`, where the system cannot exchange folders
    before_renaming: Callable[[], None] = lambda: None,
) -> Path:
    """Put the folder `new` at `place`. Returns where that which stood there is now."""
    if _exchange(new, place):
        return new
    before_renaming()
    place.rename(aside)
    try:
        new.rename(place)
    except OSError:
        aside.rename(place)
        raise
    return aside


def _exchange(a: Path, b: Path) -> bool:
    """Let two folders change places in one step. False where the system cannot."""
    if sys.platform != "linux":
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # a C library from before 2018
        return False
    return rename(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0


def is_mount(folder: Path) -> bool:
    """Whether a disk, or a folder of one, is mounted there; Linux tells both."""
    table = Path("/proc/self/mountinfo")
    lines = os.fsdecode(table.read_bytes()).splitlines() if table.exists() else []
    mounted = [re.sub(r"\\(\d{3})", _character, line.split()[4]) for line in lines]
    return folder.is_mount() or str(folder) in mounted


def _character(octal: re.Match[str]) -> str:
    return chr(int(octal[1], 8))
