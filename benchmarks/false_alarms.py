"""How often `audit` is wrong about near-duplicates and exchanged masks, on real data sets.

`python -m benchmarks.false_alarms --data FOLDER [--sets dsb2018,camvid] [--copies 30]`

Each folder in FOLDER is audited twice: as it is, where hardly anything should be reported, and in
a temporary folder with links to the same files, into which altered copies of images have been put
and in which the masks of a tenth of the pairs have been passed on to the next image of the same
size. The first gives the false alarms, the second the hits and misses.
"""

import argparse
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from fastunet.checks.audit import Audit, audit
from fastunet.io.images import image_sizes, read_image
from fastunet.pairs.find import find_pairs
from fastunet.pairs.pair import Pair

DUPLICATES = ("duplicate", "near-duplicate")
MISPLACED = ("mask-of-another", "shifted-mask")


def compressed(image: np.ndarray) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 5, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "compressed": compressed,
    "half size": lambda image: cv2.resize(
        image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    ),
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.15, beta=10),
    "darker": lambda image: cv2.convertScaleAbs(image, alpha=0.7),
    "noisy": noisy,
    "moved by 0.5 %": lambda image: np.roll(image, max(1, image.shape[1] // 200), axis=1),
}


def reported(report: Audit, codes: Sequence[str]) -> set[str]:
    """The stems of the files that findings speak of, across the split or not."""
    found = [f for f in report.findings if f.code.removesuffix("-across-splits") in codes]
    return {Path(file).stem for finding in found for file in finding.files}


def link(pairs: Sequence[Pair], root: Path) -> list[Path]:
    """The pairs as images/00000.x + masks/00000.y; returns the images."""
    images = []
    for number, pair in enumerate(pairs):
        for folder, file in (("images", pair.image), ("masks", pair.mask)):
            place = root / folder / f"{number:05d}{file.suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(file.resolve())
        images.append(pair.image)
    return images


def pass_masks_on(pairs: Sequence[Pair], root: Path, share: float) -> set[str]:
    """Exchange the masks of some pairs, in the linked folder; returns their stems."""
    by_size = defaultdict(list)
    for number in np.random.default_rng(0).permutation(len(pairs)):
        by_size[image_sizes(pairs[number].image)].append(int(number))
    passed: set[str] = set()
    for numbers in by_size.values():
        some = numbers[: round(share * len(numbers))]
        if len(some) < 2:
            continue
        for one, other in zip(some, [*some[1:], some[0]], strict=True):
            mask = pairs[other].mask
            place = root / "masks" / f"{one:05d}{pairs[one].mask.suffix}"
            place.unlink()
            place.with_suffix(mask.suffix).symlink_to(mask.resolve())
            passed.add(f"{one:05d}")
    return passed


def plant_copies(pairs: Sequence[Pair], root: Path, count: int) -> dict[str, str]:
    """Put altered copies of some images into the folder; returns what was done, by stem."""
    planted = {}
    chosen = np.random.default_rng(1).permutation(len(pairs))[:count]
    for number, name in zip(chosen, list(CHANGES) * count, strict=False):
        pair = pairs[number]
        image = CHANGES[name](np.ascontiguousarray(read_image(pair.image)[..., ::-1]))
        stem = f"copy{number:05d}"
        cv2.imwrite(str(root / "images" / f"{stem}.png"), image)
        blank = np.zeros(image.shape[:2], np.uint8)
        cv2.imwrite(str(root / "masks" / f"{stem}.png"), blank)
        planted[stem] = name
    return planted


def measure(folder: Path, copies: int) -> str:
    pairs = list(find_pairs(folder))
    count = len(pairs)
    with tempfile.TemporaryDirectory() as place:
        whole, exchanged, doubled = (Path(place) / name for name in ("whole", "masks", "copies"))
        for root in (whole, exchanged, doubled):
            link(pairs, root)
        before = audit(whole, progress=False)
        passed = pass_masks_on(pairs, exchanged, 0.1 if count >= 40 else 0.25)
        after = audit(exchanged, progress=False)
        planted = plant_copies(pairs, doubled, min(copies, count // 2))
        found = reported(audit(doubled, progress=False), DUPLICATES)
    alike, strange = reported(before, DUPLICATES), reported(before, MISPLACED)
    caught = reported(after, MISPLACED)
    missed = sorted({name for stem, name in planted.items() if stem not in found})
    return (
        f"{folder.name:<10} {count:>6} {count * (count - 1) // 2:>8} {len(alike):>6}"
        f" {len(planted):>8} {len(planted.keys() & found):>5}"
        f" {len(strange):>7} {len(passed):>7} {len(passed & caught):>5}"
        f" {len(caught - passed - strange):>6}  {', '.join(missed) or 'none'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of data sets")
    parser.add_argument("--sets", help="names of folders in it, with commas; default: all")
    parser.add_argument("--copies", type=int, default=30, help="altered copies per set")
    args = parser.parse_args()
    names = args.sets.split(",") if args.sets else sorted(p.name for p in args.data.iterdir())
    warnings.simplefilter("ignore")
    print("alike: images called near-duplicates as the set is; found: of the planted copies")
    print("strange: masks called misplaced as the set is; caught: of the masks passed on;")
    print("beside: right masks called misplaced after that")
    print(
        f"{'set':<10} {'images':>6} {'pairs':>8} {'alike':>6} {'planted':>8} {'found':>5}"
        f" {'strange':>7} {'passed':>7} {'caught':>5} {'beside':>6}  missed copies"
    )
    for name in names:
        if (args.data / name).is_dir():
            print(measure(args.data / name, args.copies), flush=True)


if __name__ == "__main__":
    main()
