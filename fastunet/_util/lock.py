"""A folder that one process holds, until it ends."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fastunet.errors import OutputError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"  # the file in a folder that is held


class Lock:
    """A lock on a folder that the system takes back when the process ends, however it ends."""

    def __init__(self, file: Path, created: bool, held: "BaseFileLock"):
        self._file, self.created, self._held = file, created, held

    @classmethod
    def acquire(cls, folder: Path, shown: Path) -> "Lock":
        """Take a folder, `shown` in messages. Raises `OutputError` where another run holds it."""
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
        """Give the folder back; `remove` takes the lock's file out of it."""
        if remove:
            self._file.unlink(missing_ok=True)
        self._held.release()
