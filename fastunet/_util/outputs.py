"""What a command is about to write, checked before the first file: all fits, nothing is lost."""

import os
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastunet._util.files import explained, identity
from fastunet._util.text import listing, told_apart
from fastunet.errors import OutputError

_PROBE = 4096  # bytes that are written to see whether a folder takes any


@dataclass(frozen=True)
class Output:
    """A file that a command is about to write."""

    path: Path
    what: str = "the result"  # for messages: "the mask of x.png"


def check_outputs(
    outputs: Sequence[Output],  # all that will be written
    inputs: Iterable[Path] = (),  # all that is read; looked at only where a file exists already
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
        many = len(there) > 1
        found = f"{len(there)} files exist already: {names}" if many else f"{names} exists already"
        raise OutputError(
            f"{found}. Choose another {option}, or say --overwrite to replace "
            f"{'them' if many else 'it'}."
        )


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
