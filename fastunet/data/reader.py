"""A pair of files as the arrays that the network needs: decoded, checked, kept in memory."""

from collections.abc import Sequence

import numpy as np

from fastunet.data.cache import fits_in_memory, in_threads
from fastunet.data.images import read_image
from fastunet.data.masks import MaskCodec
from fastunet.data.pairs import Pair
from fastunet.errors import SizeMismatchError
from fastunet.preprocess import Preprocess

_MARGIN = 1.5  # a training image is kept this much larger than the network's input, for zooming in


class PairReader:
    """Reads an image and its mask as the network needs them; keeps them where memory allows."""

    def __init__(self, codec: MaskCodec, preprocess: Preprocess):
        self.codec = codec
        self.preprocess = preprocess
        self._kept: dict[Pair, tuple[np.ndarray, np.ndarray]] = {}
        self._last: tuple[Pair, tuple[np.ndarray, np.ndarray]] | None = None

    def keep(self, pairs: Sequence[Pair], progress: bool = True) -> bool:
        """Decode all pairs now, by threads, if they fit in memory. Returns whether they do."""
        height, width = self.preprocess.size
        depth = self.preprocess.channels * (1 if self.preprocess.values == "uint8" else 4) + 1
        if not fits_in_memory(int(height * width * depth * _MARGIN**2), len(pairs)):
            return False
        self._kept = dict(
            zip(pairs, in_threads(self._load, pairs, "Decoding", progress), strict=True)
        )
        return True

    def read(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, C) prepared pixels and (H, W) class indices of one size.

        A training pair is at most 1.5 times the network's size, any other exactly that size.
        Raises `SizeMismatchError`, `ImageReadError`, `MaskValueError`, each naming the file.
        """
        if pair in self._kept:
            return self._kept[pair]
        if self._last is None or self._last[0] != pair:
            self._last = pair, self._load(pair)
        return self._last[1]

    def _load(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        image, mask = read_pair(pair, self.codec)
        size = self.preprocess.size
        if pair.split != "valid":
            limits = (int(side * _MARGIN) for side in size)
            size = tuple(min(limit, side) for limit, side in zip(limits, mask.shape, strict=True))
        image = self.preprocess.resize(self.preprocess.prepare(image), size)
        return image, self.preprocess.resize_mask(mask, size)


def read_pair(pair: Pair, codec: MaskCodec) -> tuple[np.ndarray, np.ndarray]:
    """An image, (H, W, C), and its mask, (H, W) class indices, at their own size.

    The image is upright by its EXIF orientation, unless only the pixels as stored fit the mask.
    """
    image, mask = read_image(pair.image), codec.read(pair.mask)
    if image.shape[:2] != mask.shape:
        stored = read_image(pair.image, upright=False)
        if stored.shape[:2] != mask.shape:
            raise SizeMismatchError(
                f"{pair.image} is {image.shape[1]}x{image.shape[0]} pixels (width x height), its "
                f"mask {pair.mask} {mask.shape[1]}x{mask.shape[0]}. A mask must have its image's "
                "size; export it again, or take the pair out."
            )
        image = stored
    return image, mask
