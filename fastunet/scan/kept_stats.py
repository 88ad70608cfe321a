"""What masks hold, kept on disk where memory holds not all of them: read again only if changed."""

import zipfile
import zlib
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import numpy as np

from fastunet._util.cache_folder import cache_folder
from fastunet._util.files import atomic_file, fingerprint, make_folder
from fastunet.errors import OutputError
from fastunet.masks.codes import CodeKind
from fastunet.masks.statistics import MaskStats

_DAMAGED = (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_VERSION = 1  # of what is counted: older records are not asked


def kept_stats(path: Path) -> MaskStats | None:
    """The record of a mask file that is as it was then; None where there is none."""
    try:
        file = _file(path)
        if not file.is_file():  # to open a pipe would not end
            return None
        with np.load(file, allow_pickle=False) as record:
            found = {name: record[name] for name in record.files}
        found |= {name: found[name].item() for name in ("bands", "one_bit")}
        return MaskStats(path, **found | {"kind": CodeKind(found["kind"].item())})
    except (OSError, OutputError, *_DAMAGED):
        return None  # no cache folder, or a record that was damaged


def keep_stats(stats: MaskStats) -> None:
    """Write the record of a mask file, whole or not at all; nothing where there is no room."""
    known = {field.name: getattr(stats, field.name) for field in fields(stats)}
    known |= {"path": None, "kind": stats.kind.value}
    arrays = {name: np.array(value) for name, value in known.items() if value is not None}
    with suppress(OSError, OutputError):
        file = _file(stats.path)
        make_folder(file.parent)
        with atomic_file(file, durable=False) as out:
            np.savez(out, **arrays)  # type: ignore[arg-type] # of its keyword allow_pickle


def _file(path: Path) -> Path:
    key = fingerprint([path], _VERSION)
    return cache_folder() / "stats" / key[:2] / f"{key}.npz"
