"""Folders that one process holds, and that change places as a whole."""

import ctypes
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from fastunet._util.files import make_folder
from fastunet.errors import OutputError

LOCK = ".lock"  # the file in a folder that is held


class Lock:
    """A lock on a folder that the system takes back when the process ends, however it ends."""

    def __init__(self, file: Path, created: bool, held):
        self._file, self.created, self._held = file, created, held

    @classmethod
    def acquire(cls, folder: Path, shown: Path) -> "Lock":
        """Raise `OutputError` where another run holds it."""
        from filelock import FileLock, Timeout

        file = folder / LOCK
        while True:
            created = not file.exists()
            file.touch()
            before = file.stat()
            held = FileLock(file)
            try:
                held.acquire(timeout=0)
            except Timeout:
                raise OutputError(
                    f"Another training is writing to {shown}. Wait until it has ended, or choose "
                    "another --out."
                ) from None
            with suppress(FileNotFoundError):
                if os.path.samestat(before, file.stat()):
                    return cls(file, created, held)
            held.release()  # the run that held it has ended and taken the file with it

    def release(self, remove: bool = False) -> None:
        if remove:
            self._file.unlink(missing_ok=True)
        self._held.release()


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
    """Let two folders change places in one step. False where the system has no such call."""
    if sys.platform != "linux":
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # a C library from before 2018
        return False
    return rename(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0


def is_mount(folder: Path) -> bool:
    """Also of a folder that is mounted at a second place on its own disk, where Linux says so."""
    table = Path("/proc/self/mountinfo")
    lines = os.fsdecode(table.read_bytes()).splitlines() if table.exists() else []
    names = (re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4])
             for line in lines)  # fmt: skip
    return folder.is_mount() or str(folder) in names


@contextmanager
def uninterrupted():
    """Ctrl-C and SIGTERM wait until the block has ended."""
    if threading.current_thread() is not threading.main_thread():  # others are not interrupted
        yield
        return
    waiting: list[int] = []
    before = {number: signal.signal(number, lambda received, _: waiting.append(received))
              for number in (signal.SIGINT, signal.SIGTERM)}  # fmt: skip
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in waiting[:1]:
            signal.raise_signal(number)
