"""A pair of files as the arrays that the network needs: decoded, checked, cached."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastunet._util.files import fingerprint
from fastunet._util.text import sizes_differ
from fastunet._util.threads import in_threads
from fastunet._util.warn import warn
from fastunet.choices import Cache, Orientation
from fastunet.data.cache import Both, DiskCache, MemoryCache, room_in_memory, room_on_disk
from fastunet.errors import OutputError, SizeMismatchError
from fastunet.io.images import image_sizes, refuse_not_finite
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.pair import Pair
from fastunet.preprocess import Preprocess
from fastunet.scan.decoded import NOTHING_KEPT, DecodedFiles
from fastunet.tiling import grid, pad

_MARGIN = 1.5  # a training image is kept this much larger than the network's input, for zooming in
_LOCATIONS = 256  # places of a class that are remembered


@dataclass(frozen=True, slots=True)
class Tile:
    """A window of a pair, of the network's size; pixels outside `own` belong to other tiles."""

    pair: Pair
    top: int  # of the image as the network looks at it
    left: int
    bottom: int  # where its own part ends
    right: int


class PairReader:
    """Reads an image and its mask as the network needs them; keeps them where there is room."""

    def __init__(
        self,
        codec: MaskCodec,
        preprocess: Preprocess,
        files: DecodedFiles = NOTHING_KEPT,  # what was decoded already; `keep` empties it
    ):
        self.codec = codec
        self.preprocess = preprocess
        self._files = files
        self._cache: MemoryCache[Both] | DiskCache = MemoryCache(0)
        self._class_locations: dict[Pair, list[np.ndarray]] = {}
        self._last: dict[int, tuple[Pair, tuple[np.ndarray, np.ndarray]]] = {}  # by thread

    def keep(
        self,
        pairs: Sequence[Pair],
        cache: Cache | None = "auto",  # "auto": in memory, or else on disk, where all fit
        progress: bool = True,
    ) -> bool:  # whether all of them are kept
        """Decode all pairs now, by threads. Warns where only some of them fit."""
        try:
            return self._keep(pairs, cache, progress)
        finally:
            self._files.clear()

    def _keep(self, pairs: Sequence[Pair], cache: Cache | None, progress: bool) -> bool:
        room = room_in_memory(self._files.held)  # which becomes free meanwhile
        if cache == "auto":
            expected = self._expected_bytes(pairs)
            cache = "ram" if expected < room else "disk"
            if cache == "disk":
                try:
                    cache = cache if expected < room_on_disk() else None
                except OutputError as error:
                    cache = None
                    warn(f"{error} Images are decoded each time instead.")
        if cache is None or not pairs:
            return False
        self._cache = MemoryCache(room) if cache == "ram" else DiskCache(room_on_disk())
        missing = [pair for pair in pairs if self._cache.get(self._key(pair)) is None]
        loaded = in_threads(self._load, missing, "Decoding", progress)
        for number, (pair, arrays) in enumerate(zip(missing, loaded, strict=True)):
            if not self._cache.put(self._key(pair), arrays):
                loaded.close()
                warn(
                    f"cache={cache!r}: {number} of {len(missing)} pairs fit; the others are "
                    "decoded each time they are used."
                )
                return False
        return True

    def read(self, item: Pair | Tile) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, C) prepared pixels and (H, W) class indices of one size.

        With the policy "resize" a training pair is at most 1.5 times the network's size, any other
        exactly that size; with "patch" it is the whole image at the scale of the patches, and a
        tile the network's size. Raises `SizeMismatchError`, `ImageReadError`, `MaskValueError`,
        each naming the file.
        """
        if isinstance(item, Tile):
            return self._cut(item)
        kept = self._cache.get(self._key(item))
        if kept is not None:
            return kept
        me = threading.get_ident()
        if me not in self._last or self._last[me][0] != item:
            self._last[me] = item, self._load(item)
        return self._last[me][1]

    def tiles(self, pair: Pair) -> list[Tile]:
        """Windows of the network's size that cover the image; their own parts do so once."""
        kept = self._cache.get(self._key(pair))
        size = self._kept_size(pair) if kept is None else kept[1].shape
        return [Tile(pair, *place) for place in grid(size, self.preprocess.size)]

    def class_locations(self, pair: Pair) -> list[np.ndarray]:
        """Places, (n, 2) rows and columns, of each class in the image but its most common one."""
        if pair not in self._class_locations:
            self._class_locations[pair] = _class_locations(self.read(pair)[1])
        return self._class_locations[pair]

    def class_counts(
        self,
        pairs: Sequence[Pair],
        sample: int | None = None,  # how many are read, spread over the list; None: all
        progress: bool = True,
    ) -> np.ndarray:  # (classes,) int64
        """How many pixels each class has in the masks as they are read, void left out."""
        pairs = pairs[:: max(1, len(pairs) // sample)] if sample else pairs
        total = np.zeros(256, np.int64)
        for _, mask in in_threads(self.read, pairs, "Counting classes", progress):
            total += np.bincount(mask.ravel(), minlength=256)
        return total[: len(self.codec.classes)]

    def _key(self, pair: Pair):
        if isinstance(self._cache, MemoryCache):
            return pair
        how = self.preprocess.to_dict()
        for later in ("mean", "std", "brightest"):  # of no effect on the pixels
            del how[later]
        role = {"room to zoom": self._zooms(pair)}
        return fingerprint((*pair.image_files, pair.mask), self.codec.to_dict(), how, role)

    def _zooms(self, pair: Pair) -> bool:
        return self.preprocess.sees_whole and pair.split != "valid"

    def _load(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        image, mask = read_pair(pair, self.codec, self.preprocess.orientation, self._files)
        self._files.forget(pair)
        size = self._size(pair, mask.shape)
        return (
            self.preprocess.resize(self.preprocess.prepare(image, pair.image), size),
            self.preprocess.resize_mask(mask, size),
        )

    def _size(self, pair: Pair, own: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) at which a pair of some size is kept."""
        if not self._zooms(pair):
            return self.preprocess.seen_size(own)
        height, width = (int(side * _MARGIN) for side in self.preprocess.size)
        return min(height, own[0]), min(width, own[1])

    def _kept_size(self, pair: Pair) -> tuple[int, int]:
        return self._size(pair, image_sizes(pair.mask)[0])

    def _expected_bytes(self, pairs: Sequence[Pair]) -> int:
        depth = self.preprocess.channels * (1 if self.preprocess.values == "uint8" else 4) + 1
        sample = pairs[:: max(1, len(pairs) // 32)]
        pixels = [height * width for height, width in map(self._kept_size, sample)]
        return int(sum(pixels) / max(1, len(sample)) * depth * len(pairs))

    def _cut(self, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        image, mask = self.read(tile.pair)
        height, width = self.preprocess.size
        rows = slice(tile.top, tile.top + height)
        columns = slice(tile.left, tile.left + width)
        cut = mask[rows, columns].copy()
        cut[tile.bottom - tile.top :] = VOID
        cut[:, tile.right - tile.left :] = VOID
        missing = height - cut.shape[0], width - cut.shape[1]
        return pad(image[rows, columns], missing), np.pad(
            cut, [(0, side) for side in missing], constant_values=VOID
        )


def _class_locations(mask: np.ndarray) -> list[np.ndarray]:
    counts = np.bincount(mask.ravel(), minlength=256)[:VOID]
    present = np.flatnonzero(counts)
    rest = present[present != counts.argmax()]
    rng = np.random.default_rng(0)
    places = []
    for index in rest:
        flat = np.flatnonzero(mask == index)
        some = flat if len(flat) <= _LOCATIONS else rng.choice(flat, _LOCATIONS, replace=False)
        places.append(np.column_stack(np.unravel_index(some, mask.shape)))
    return places


def read_pair(
    pair: Pair,
    codec: MaskCodec,
    orientation: Orientation = "upright",  # of photos with an EXIF orientation
    files: DecodedFiles = NOTHING_KEPT,
) -> tuple[np.ndarray, np.ndarray]:
    """An image, (H, W, C), and its mask, (H, W) class indices, at their own size.

    A photo on its side is read the other way, where only that fits the mask.
    """
    readings = [files.image, files.image_as_stored]
    if orientation == "stored":
        readings.reverse()
    image, mask = readings[0](pair.image_files), files.class_indices(pair.mask, codec)
    if image.shape[:2] != mask.shape:
        other = readings[1](pair.image_files)
        if other.shape[:2] != mask.shape:
            differ = sizes_differ(pair.image, image.shape, f"its mask {pair.mask}", mask.shape)
            raise SizeMismatchError(
                f"{differ} A mask must have its image's size; export it again, or take the pair "
                "out."
            )
        image = other
    refuse_not_finite(image, pair.image)
    return image, mask
