"""Decode once: arrays kept in memory or on disk."""

import io
import os
import pickle
import tempfile
import zlib
from collections.abc import Hashable
from pathlib import Path
from shutil import disk_usage
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np
import psutil

from fastunet._util.cache_folder import cache_folder
from fastunet._util.files import atomic_file, make_folder
from fastunet._util.processes import on_this_machine
from fastunet.errors import ImageReadError
from fastunet.io.images import read_npy

Both = tuple[np.ndarray, np.ndarray]  # an image and its mask
Arrays = TypeVar("Arrays", bound=tuple[np.ndarray, ...])

MEMORY_SHARE = 0.4  # of the memory that is free, at most
DISK_SHARE = 0.5  # of the space that is free where the user's cache folder lies, at most

_ALIGNMENT = 64  # bytes, of arrays in a file
_CHECKSUM = 4  # bytes of a CRC-32 at the end of a file


def room_in_memory(
    freed: int = 0,  # bytes that become free meanwhile
) -> int:
    """Bytes that may be kept in memory: a share of what is free, so that training can work."""
    free = psutil.virtual_memory().available + freed
    return int(MEMORY_SHARE * free / on_this_machine())


def room_on_disk() -> int:
    """Bytes that may be kept in the user's cache folder; `OutputError` where there can be none."""
    folder = make_folder(cache_folder())
    return int(DISK_SHARE * disk_usage(folder).free)


class MemoryCache(Generic[Arrays]):
    """Arrays in memory, up to `room` bytes.

    Forked workers share its pages; spawned ones map one temporary file rather than get a copy each.
    PyTorch's shared memory would not do: a container has 64 MB of it.
    """

    def __init__(self, room: int):
        self.room = room
        self._kept: dict[Hashable, Arrays] = {}
        self._state: dict[str, Any] | None = None  # as it is pickled

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
        self._state = None
        return True

    def __len__(self) -> int:
        return len(self._kept)

    def __getstate__(self):
        if self._state is None:
            buffers: list[pickle.PickleBuffer] = []
            index = pickle.dumps(self._kept, protocol=5, buffer_callback=buffers.append)
            self._folder = tempfile.TemporaryDirectory(  # which goes with the cache
                prefix="fastunet-", ignore_cleanup_errors=True
            )
            path, spans = Path(self._folder.name, "arrays"), []
            with path.open("wb") as file:
                for buffer in buffers:
                    start = file.seek(-file.tell() % _ALIGNMENT, os.SEEK_CUR)
                    spans.append((start, start + file.write(buffer.raw())))
            self._state = {"room": self.room, "index": index, "path": path, "spans": spans}
        return self._state

    def __setstate__(self, state: dict[str, Any]):
        whole = np.memmap(state["path"], np.uint8, "r") if state["spans"] else np.empty(0)
        buffers = [whole[start:end] for start, end in state["spans"]]
        self.room, self._kept = state["room"], pickle.loads(state["index"], buffers=buffers)
        self._state = state


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
            if file not in self._whole and not _is_whole(file):
                return None
        except (OSError, ImageReadError):  # what a damaged header makes its reader raise
            return None
        self._whole.add(file)
        return array

    def _file(self, key: str, i: int) -> Path:
        return self.folder / key[:2] / f"{key}-{i}.npy"


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
