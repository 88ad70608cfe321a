"""Decode once: what is read of files for one purpose is kept for the next, while there is room."""

import os
import threading
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from fastunet.io.channel_files import ChannelFiles
from fastunet.io.images import as_stored, orientation_of, read_image
from fastunet.io.sources import Source, as_image
from fastunet.masks.codec import MaskCodec
from fastunet.masks.raw import RawMask, read_mask
from fastunet.pairs.pair import Pair


class DecodedFiles:
    """Images and masks as they were decoded, up to `room` bytes; the rest is read from disk.

    To understand a data set its files are looked at for their encoding, their faults, their
    statistics, and to fill the cache: with this each is decoded once. Nothing is changed by those
    who look. May be used by many threads.
    """

    def __init__(
        self,
        room: int = 0,  # bytes; 0: nothing is kept
    ):
        self.room = room
        self.held = 0  # bytes
        self._kept: dict[Hashable, np.ndarray | RawMask] = {}
        self.is_full = False  # something found no room
        self._lock = threading.Lock()

    def __reduce__(self):  # in another process nothing is held
        return DecodedFiles, ()

    def image(self, source: Source) -> np.ndarray:  # (H, W, C), upright
        """An image as `as_image` reads it."""
        if not isinstance(source, str | os.PathLike | ChannelFiles):
            return as_image(source)
        key = _key(source)
        kept = self._kept.get(key)
        if isinstance(kept, np.ndarray):
            return kept
        image = read_image(key[0] if len(key) == 1 else key)
        self._keep(key, image, image.nbytes)
        return image

    def image_as_stored(self, source: str | os.PathLike | ChannelFiles) -> np.ndarray:
        """The same image without regard to its EXIF orientation, (H, W, C)."""
        key = _key(source)
        if key in self._kept:
            return np.ascontiguousarray(as_stored(self.image(source), orientation_of(source)))
        return read_image(key[0] if len(key) == 1 else key, upright=False)

    def mask(self, path: Path) -> RawMask:
        """A mask file as `read_mask` reads it."""
        raw = self._kept.get(("mask", path))
        if not isinstance(raw, RawMask):
            raw = read_mask(path)
            self._keep(("mask", path), raw, raw.codes.nbytes)
        return raw

    def class_indices(self, path: Path, codec: MaskCodec) -> np.ndarray:  # (H, W) uint8
        """A mask file as `codec.read` reads it."""
        return codec.encode(self.mask(path), str(path))

    def forget(self, pair: Pair) -> None:
        """Make room: what was decoded of a pair is not needed any more."""
        with self._lock:
            for key in (_key(pair.image_files), ("mask", pair.mask)):
                kept = self._kept.pop(key, None)
                if kept is not None:
                    self.held -= kept.codes.nbytes if isinstance(kept, RawMask) else kept.nbytes

    def clear(self) -> None:
        """Keep nothing, now and later."""
        with self._lock:
            self._kept.clear()
            self.room = self.held = 0

    def _keep(self, key: Hashable, decoded: np.ndarray | RawMask, size: int) -> None:
        with self._lock:
            if self.held + size > self.room:
                self.is_full = True
            elif key not in self._kept:
                self._kept[key] = decoded
                self.held += size


NOTHING_KEPT = DecodedFiles()


def _key(source: str | os.PathLike | Sequence[str | os.PathLike]) -> tuple[Path, ...]:
    files = (source,) if isinstance(source, str | os.PathLike) else source
    return tuple(map(Path, files))
