"""Decode once, with all cores: work done by threads, and arrays kept in memory or on disk."""

import contextlib
import io
import tempfile
import weakref
import zlib
from collections.abc import Hashable
from pathlib import Path
from shutil import disk_usage
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np
import psutil

from fastunet._util.cache_folder import cache_folder
from fastunet._util.files import atomic_file, make_folder
from fastunet.errors import ImageReadError
from fastunet.io.images import read_npy

Both = tuple[np.ndarray, np.ndarray]  # an image and its mask
Arrays = TypeVar("Arrays", bound=tuple[np.ndarray, ...])

MEMORY_SHARE = 0.4  # of the memory that is free, at most
DISK_SHARE = 0.5  # of the space that is free where the user's cache folder lies, at most


def room_in_memory(
    freed: int = 0,  # bytes that become free meanwhile
) -> int:
    """Bytes that may be kept in memory: a share of what is free, so that training can work."""
    return int(MEMORY_SHARE * (psutil.virtual_memory().available + freed))


def room_on_disk() -> int:
    """Bytes that may be kept in the user's cache folder; `OutputError` where there can be none."""
    folder = make_folder(cache_folder())
    return int(DISK_SHARE * disk_usage(folder).free)


class MemoryCache(Generic[Arrays]):
    """Arrays in memory, up to `room` bytes.

    Forked workers share its pages; spawned ones get it as one temporary file, mapped by all of
    them, rather than a copy each.
    """

    def __init__(self, room: int):
        self.room = room
        self._kept: dict[Hashable, Arrays] = {}
        self._spilled: tuple[str, dict[Hashable, list]] | None = None

    def get(self, key: Hashable) -> Arrays | None:
        """What was kept under a key, if anything."""
        return self._kept.get(key)

    def put(self, key: Hashable, arrays: Arrays) -> bool:
        """Keep arrays; False, with nothing kept, where the room is used up."""
        size = sum(array.nbytes for array in arrays)
        if size > self.room:
            return False
        self.room -= size
        self._kept[key] = arrays
        self._spilled = None
        return True

    def __len__(self) -> int:
        return len(self._kept)

    def __getstate__(self):
        if self._spilled is None:
            self._spilled = self._spill()
        return {"room": self.room, "file": self._spilled[0], "places": self._spilled[1]}

    def __setstate__(self, state):
        self.room, self._spilled = state["room"], (state["file"], state["places"])
        whole = (
            np.memmap(state["file"], np.uint8, "r") if state["places"] else np.empty(0, np.uint8)
        )

        def at(dtype: str, offset: int, shape: tuple[int, ...]) -> np.ndarray:
            size = np.dtype(dtype).itemsize * int(np.prod(shape))
            return whole[offset : offset + size].view(dtype).reshape(shape)

        kept: dict[Hashable, Any] = {
            key: tuple(at(*place) for place in places) for key, places in state["places"].items()
        }
        self._kept = kept

    def _spill(self) -> tuple[str, dict[Hashable, list]]:
        """All arrays in one file, which is removed when this cache is; and where each one lies."""
        places: dict[Hashable, list] = {}
        with tempfile.NamedTemporaryFile(prefix="fastunet-", suffix=".cache", delete=False) as file:
            weakref.finalize(self, _remove, file.name)
            for key, arrays in self._kept.items():
                places[key] = [(one.dtype.str, _append(file, one), one.shape) for one in arrays]
        return file.name, places


def _append(file, array: np.ndarray) -> int:
    """Write an array where its elements are aligned; returns the offset."""
    file.write(bytes(-file.tell() % 64))
    offset = file.tell()
    file.write(np.ascontiguousarray(array).data)
    return offset


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()


class DiskCache:
    """Arrays as files in the user's cache folder, mapped when they are read; up to `room` bytes.

    The key names everything that the arrays were made of, so a changed file or setting is another
    key. Files are written beside and renamed. Each ends with a checksum of what stands before it:
    one that was damaged, by whatever, is as if it were not there.
    """

    def __init__(self, room: int):
        self.room = room
        self.folder = cache_folder() / "decoded"
        self._whole: set[Path] = set()  # files whose checksum was compared by this process

    def get(self, key: str) -> Both | None:
        """What was written under a key, mapped from the files; None where it is not whole."""
        image, mask = (self._read(self._file(key, i)) for i in range(2))
        return None if image is None or mask is None else (image, mask)

    def put(self, key: str, arrays: Both) -> bool:
        """Write arrays; False, with nothing written, where the room is used up.

        Where a folder took the place of a file the arrays are not kept.
        """
        size = sum(array.nbytes for array in arrays)
        if size > self.room:
            return False
        self.room -= size
        for i, array in enumerate(arrays):
            path = self._file(key, i)
            make_folder(path.parent)
            if path.is_dir():
                continue
            with atomic_file(path, durable=False) as file:
                _save(file, np.ascontiguousarray(array))
        return True

    def _read(self, file: Path) -> np.ndarray | None:
        """None where there is no file, or not as it was written."""
        if not file.is_file():  # to open a pipe would not end
            return None
        try:
            array = read_npy(file, lazily=True)
            expected = array.offset + array.nbytes + _CHECKSUM  # type: ignore[attr-defined] # mapped
            if file.stat().st_size != expected:
                return None
            if file not in self._whole:
                if not _is_whole(file):
                    return None
                self._whole.add(file)
        except (OSError, ImageReadError):  # what a damaged header makes its reader raise
            return None
        return array

    def _file(self, key: str, i: int) -> Path:
        return self.folder / key[:2] / f"{key}-{i}.npy"


_CHECKSUM = 4  # bytes of a CRC-32 at the end of a file


def _save(file: BinaryIO, array: np.ndarray) -> None:
    """As np.save, which does not notice where a full disk takes only the start of a small array."""
    layout, header = np.lib.format, io.BytesIO()
    layout.write_array_header_1_0(header, layout.header_data_from_array_1_0(array))
    file.write(header.getvalue())
    file.write(array.data)
    checksum = zlib.crc32(array.data, zlib.crc32(header.getvalue()))
    file.write(checksum.to_bytes(_CHECKSUM, "little"))


def _is_whole(file: Path) -> bool:
    content = np.memmap(file, np.uint8, "r")
    stored = int.from_bytes(content[-_CHECKSUM:].tobytes(), "little")
    return zlib.crc32(content[:-_CHECKSUM].data) == stored
