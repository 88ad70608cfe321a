"""What the network's size leaves of the masks: the best Dice of each class, by size.

`python -m benchmarks.resolution DATA [--void 11] [--sizes 64,128,256,512]`

Masks are resized as in training, by the nearest pixel, and brought back as predictions are; in a
second row by area, each pixel taking the class that covers most of it.
"""

import argparse
import time
import warnings
from pathlib import Path

import cv2
import numpy as np

from fastunet.checks.resolution import measure_resolution
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.preprocess import Preprocess


class ByArea(Preprocess):
    """The class that covers most of a pixel, instead of the one in its middle."""

    def resize_mask(self, mask: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        height, width = size or self.seen_size(mask.shape)
        if mask.shape == (height, width):
            return mask
        values = np.flatnonzero(np.bincount(mask.ravel(), minlength=VOID + 1)).astype(np.uint8)
        planes = [np.float32(mask == value) for value in values]
        small = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in planes]
        return values[np.argmax(small, axis=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--void", type=int, help="mask value that does not count")
    parser.add_argument("--sizes", default="64,128,256,512")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    masks = [pair.mask for pair in find_pairs(args.data)]
    codec = MaskCodec.infer(masks, void=args.void)
    print(f"{'size':>5} {'rule':<8} {'masks':>5} {'s':>5}  best Dice of {', '.join(codec.classes)}")
    for side in map(int, args.sizes.split(",")):
        for rule, kind in (("nearest", Preprocess), ("area", ByArea)):
            start = time.perf_counter()
            how = kind((side, side))
            found = measure_resolution(masks, codec.read, codec.classes, how, progress=False)
            seconds = time.perf_counter() - start
            dice = " ".join(f"{value:.3f}" for value in found.best_dice)
            print(f"{side:>5} {rule:<8} {found.masks:>5} {seconds:>5.1f}  {dice}", flush=True)
            if found.lost and rule == "nearest":
                print(f"      {found.advice}")


if __name__ == "__main__":
    main()
