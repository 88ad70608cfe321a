"""Images per second and peak memory of counting masks, and whether memory grows with the images.

`python -m benchmarks.evaluation [--images 20000] [--size 1024] [--classes 12] [--probabilities]`

Masks are drawn once and shifted for each image, so that nearly all of the time is the counting; no
network predicts. The peak is that of the whole process, read at a tenth of the images, at all of
them, and after the table with its 1,000 resamples.
"""

import argparse
import resource
import sys
import time

import cv2
import numpy as np

from fastunet.evaluation.scorer import Scorer
from fastunet.labels import VOID


def peak_memory() -> float:
    """MB of this process at its largest so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def draw(size: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth and prediction, (H, W) uint8, and (C, H, W) float32 probabilities, an eighth as fine.

    The masks are enlarged from that, so that drawing needs less memory than counting.
    """
    rng = np.random.default_rng(0)
    small = max(1, size // 8)
    fields = cv2.resize(rng.random((16, 16, classes), np.float32), (small, small))
    seen = fields + rng.normal(0, 0.05, fields.shape).astype(np.float32)
    truth, predicted = (
        cv2.resize(each.argmax(2).astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST)
        for each in (fields, seen)
    )
    truth[: size // 50] = VOID
    odds = np.exp(8 * seen).transpose(2, 0, 1)
    return truth, predicted, odds / odds.sum(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=1024, help="height and width, pixels")
    parser.add_argument("--classes", type=int, default=12)
    parser.add_argument("--probabilities", action="store_true", help="calibration, thresholds too")
    args = parser.parse_args()

    truth, predicted, coarse = draw(args.size, args.classes)
    probabilities = None
    if args.probabilities:
        fine = [cv2.resize(layer, (args.size, args.size)) for layer in coarse]
        probabilities = np.stack(fine[1:] if args.classes == 2 else fine)
    scorer = Scorer([f"class {i}" for i in range(args.classes)], objects=False)
    start, at_a_tenth = time.perf_counter(), 0.0
    for i in range(args.images):
        shifted = (np.roll(mask, i % args.size, axis=1) for mask in (predicted, truth))
        scorer.add(f"images/{i:06d}.png", *shifted, probabilities=probabilities)
        if i + 1 == args.images // 10:
            at_a_tenth = peak_memory()
    seconds = time.perf_counter() - start
    at_all = peak_memory()
    grown = 1e6 * (at_all - at_a_tenth) / (0.9 * args.images)
    print(
        f"{args.images:,} masks of {args.size}x{args.size}, {args.classes} classes: "
        f"{args.images / seconds:.1f} images/s\n"
        f"peak memory {at_a_tenth:.0f} MB at a tenth of them, {at_all:.0f} MB at all: "
        f"{grown:.0f} bytes more per image"
    )
    start = time.perf_counter()
    result = scorer.result("generated")
    str(result)
    print(
        f"table with intervals: {time.perf_counter() - start:.1f} s, peak {peak_memory():.0f} MB\n"
        f"counts kept of an image: {sum(each[0].nbytes for each in result.outcomes)} bytes"
    )


if __name__ == "__main__":
    main()
