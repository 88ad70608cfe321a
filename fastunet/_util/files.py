"""Files that fastunet writes: whole or not at all, never over what is there, each refusal said."""

import os
import stat
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from fastunet._util.system_errors import reason
from fastunet._util.text import listing, told_apart
from fastunet.errors import FastunetError, OutputError

_PROBE = 4096  # bytes that are written to see whether a folder takes any
_number = count()  # of the partial files of this process, so that no two threads share one


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside, flush to disk, rename: a reader sees the old file or the new, never a part.

    Raises `OutputError` that says why it cannot be written; nothing is left of it then.
    """
    partial = path.with_name(f".{path.name[:40]}.{os.getpid()}-{next(_number)}.partial")
    with explained(path):
        file = partial.open("xb")
        try:
            with file:
                file.write(data)
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
    cache = _cache_folder()
    if cache is not None and path.is_relative_to(cache):
        what += ". The environment variable FASTUNET_CACHE names another folder for the cache"
    return OutputError(f"{what}.")


# --- reading what others wrote --------------------------------------------------------------------


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


# --- before a command writes ----------------------------------------------------------------------


@dataclass(frozen=True)
class Output:
    """A file that a command is about to write."""

    path: Path
    what: str = "the result"  # for messages: "the mask of x.png"


def check_outputs(
    outputs: Sequence[Output],  # all that will be written
    inputs: Iterable[
        Path
    ] = (),  # all that is read; gone through only where a file is there already
    overwrite: bool = False,  # files that are there may be replaced, unless they are read
    option: str = "--out",  # that says where they go
) -> None:
    """See whether everything can be written and nothing is lost, before the first is written.

    Raises `OutputError` where two outputs are one file, where one is there already, is a file
    that is read (by a link or another spelling too), or lies where nothing can be written.
    """
    folders = {output.path.parent for output in outputs}
    for folder in folders:
        _check_writable(folder)
    _refuse_clashes(outputs, ignore_case=any(map(_ignores_case, folders)))
    there = [output for output in outputs if os.path.lexists(output.path)]
    if not there:
        return
    read = {identity(file): file for file in inputs}
    for output in there:
        source = read.get(identity(output.path))
        if source is not None:
            raise OutputError(
                f"{source} is read by this command and would be replaced by {output.what}. Choose "
                f"another {option}."
            )
        if output.path.is_dir():
            raise OutputError(
                f"{output.path} is a folder; {output.what} was to be written there. Choose another "
                f"{option}."
            )
    if not overwrite:
        names = listing([output.path for output in there], 3)
        one = len(there) == 1
        found = f"{names} exists already" if one else f"{len(there)} files exist already: {names}"
        raise OutputError(
            f"{found}. Choose another {option}, or say --overwrite to replace "
            f"{'it' if one else 'them'}."
        )


def identity(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common, be they links or spellings; None: no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _refuse_clashes(outputs: Sequence[Output], ignore_case: bool) -> None:
    taken: dict[str, Output] = {}
    for output in outputs:
        key = os.path.abspath(output.path)  # noqa: PTH100 - a name, links in it or not
        key = unicodedata.normalize("NFC", key)  # on macOS both spellings are one file
        first = taken.setdefault(key.casefold() if ignore_case else key, output)
        if first is not output:
            one, other = told_apart([first.what, output.what])
            raise OutputError(
                f"{output.path} would be written twice: {one}, and {other}. Rename "
                "one of the images, or write into different folders."
            )


def _check_writable(folder: Path) -> None:
    """Write a little where the folder is, or will be made."""
    there = _nearest(folder)
    if not there.is_dir():
        raise OutputError(f"{there} is a file where a folder was meant; choose another place.")
    with explained(folder), tempfile.NamedTemporaryFile(prefix=".fastunet-", dir=there) as probe:
        probe.write(bytes(_PROBE))
        probe.flush()


def _nearest(folder: Path) -> Path:
    """The folder, or what there is of its path."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def _ignores_case(folder: Path) -> bool:
    """Whether a file can be found under another spelling of its name."""
    with tempfile.NamedTemporaryFile(prefix=".fastunet-", dir=_nearest(folder)) as probe:
        return Path(probe.name).with_name(Path(probe.name).name.swapcase()).exists()


# --- what can be made again -----------------------------------------------------------------------


def cache_folder() -> Path:
    """The user's cache folder; `FASTUNET_CACHE` names another. All in it can be made again.

    Raises `OutputError` where the user has no home folder.
    """
    folder = _cache_folder()
    if folder is None:
        raise OutputError(
            "There is no home folder to keep files in that can be made again. Name a folder for "
            "them in the environment variable FASTUNET_CACHE."
        )
    return folder


def _cache_folder() -> Path | None:
    """None: the user has no home folder."""
    from platformdirs import user_cache_dir

    if named := os.environ.get("FASTUNET_CACHE"):
        return Path(named)
    try:
        folder = Path(user_cache_dir("fastunet", appauthor=False))
    except RuntimeError:  # of platformdirs; its older versions leave a "~" that is no folder
        return None
    return folder if folder.is_absolute() else None
