"""Files, written whole or not at all and read with care; every refusal says its reason."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from fastunet._util.cache_folder import cache_folder
from fastunet._util.system_errors import reason
from fastunet.errors import FastunetError, OutputError

_number = count()  # of the partial files of this process, so that no two threads share one


# --- writing --------------------------------------------------------------------------------------


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file as `atomic_file` does."""
    with atomic_file(path) as file:
        file.write(data)


@contextmanager
def atomic_file(
    path: Path,
    durable: bool = True,  # it survives a power failure; False is faster, for what is checked
) -> Iterator[BinaryIO]:
    """A file beside `path` to write to, renamed at the end of the block.

    A reader sees the old file or the new one, never a part of it. Raises `OutputError` that says
    why the file cannot be written; nothing is left of it then.
    """
    partial = path.with_name(f".{path.name[:40]}.{os.getpid()}-{next(_number)}.partial")
    with explained(path):
        file = partial.open("xb")
        try:
            with file:
                yield file
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def make_folder(path: Path) -> Path:
    """The folder, made where it is missing. Raises `OutputError` where that is not possible."""
    with explained(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise _refusal(f"{path} is a file where a folder was meant", path) from error
    return path


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What the system refuses here becomes an `OutputError` of this path, with the reason."""
    try:
        yield
    except OSError as error:
        raise _refusal(f"{path} cannot be written: {reason(error)}", path) from error


def _refusal(what: str, path: Path) -> OutputError:
    with suppress(OutputError):  # there is none
        if path.is_relative_to(cache_folder()):
            what += ". The environment variable FASTUNET_CACHE names another folder for the cache"
    return OutputError(f"{what}.")


# --- reading --------------------------------------------------------------------------------------


def fingerprint(
    files: Iterable[Path],
    *settings: object,  # what else the result depends on, as JSON takes it
) -> str:
    """A key for what is made of files: their paths, sizes and times of change, and the settings."""
    stats = [(str(file.resolve()), file.stat()) for file in files]
    parts = [[(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats], *settings]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def identity(path: Path) -> tuple[int, int] | None:
    """What all names of one file have in common, also links; None where there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


@contextmanager
def opened(
    path: Path,
    error: type[FastunetError],  # what is raised
) -> Iterator[tuple[BinaryIO, int]]:  # the file, and its size in bytes
    """A regular file, links followed. Nothing else is opened: a pipe or a device has no end.

    Raises `error` where it is missing, cannot be read, or is anything but a file.
    """
    try:
        _refuse_all_but_files(path, path.stat().st_mode, error)
        flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, os.O_RDONLY | flags), "rb") as file:
            status = os.fstat(file.fileno())  # of what was opened, if the path changed meanwhile
            _refuse_all_but_files(path, status.st_mode, error)
            yield file, status.st_size
    except OSError as refusal:
        raise error(f"{path} cannot be read: {reason(refusal)}.") from refusal


def read_small(
    path: Path,
    limit: int,  # bytes; a larger file is not what it should be
    error: type[FastunetError],  # what is raised
) -> bytes:
    """A file whose size is asked for before it is read. Raises `error` as `opened` does."""
    with opened(path, error) as (file, size):
        data = file.read(limit + 1) if size <= limit else b""
    if max(size, len(data)) > limit:
        raise error(
            f"{path} has {size:,} bytes; at most {limit:,} were expected. It is not the file that "
            "its name says."
        )
    return data


def _refuse_all_but_files(path: Path, mode: int, error: type[FastunetError]) -> None:
    if stat.S_ISDIR(mode):
        raise error(f"{path} is a folder; a file was expected.")
    if not stat.S_ISREG(mode):
        raise error(f"{path} is a pipe, a socket or a device; a file was expected.")
