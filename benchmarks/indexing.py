"""Seconds and memory that `find_pairs` takes for a folder of many pairs.

`python -m benchmarks.indexing [--pairs 1000000] [--per-folder 1000 | --flat] [--suffix _mask]`

Empty files are made in a temporary folder, found by a fresh process that does nothing else, and
removed. Peak memory is that of the process, libraries included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHILD = """
import json, resource, sys, time
from fastunet.pairs.find import find_pairs
libraries = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
pairs = find_pairs(sys.argv[1])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([len(pairs), pairs.layout, seconds, libraries, peak]))
"""
KIB = 1024 if sys.platform != "darwin" else 1  # bytes per unit of ru_maxrss


def make(root: Path, count: int, per_folder: int, suffix: str) -> None:
    """Empty `images/000/0000000.png` and `masks/000/0000000<suffix>.png`, and so on."""
    for first in range(0, count, per_folder):
        inner = "" if per_folder >= count else f"{first // per_folder:03d}"
        for side, tail in (("images", ""), ("masks", suffix)):
            folder = root / side / inner
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(first, min(count, first + per_folder)):
                os.close(os.open(f"{folder}/{index:07d}{tail}.png", os.O_CREAT | os.O_WRONLY))


def measure(root: Path) -> tuple[int, str, float, int, int]:
    """Pairs, layout, seconds, and bytes after the imports and at the peak."""
    command = [sys.executable, "-c", CHILD, str(root)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    count, layout, seconds, libraries, peak = json.loads(done.stdout)
    return count, layout, seconds, libraries * KIB, peak * KIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--per-folder", type=int, default=1000, help="files in a sub-folder")
    parser.add_argument("--flat", action="store_true", help="no sub-folders")
    parser.add_argument("--suffix", default="_mask", help="what masks have behind the image's stem")
    args = parser.parse_args()

    per_folder = args.pairs if args.flat else args.per_folder
    with tempfile.TemporaryDirectory(prefix="fastunet-indexing-") as folder:
        start = time.perf_counter()
        make(Path(folder), args.pairs, per_folder, args.suffix)
        made = time.perf_counter() - start
        print(f"{2 * args.pairs:,} files in folders of {per_folder:,} made in {made:.0f} s")
        count, layout, seconds, libraries, peak = measure(Path(folder))
        assert count == args.pairs, f"{count} pairs were found"
        print(f"{layout}: {count:,} pairs in {seconds:.1f} s, {count / seconds:,.0f} pairs/s")
        print(f"peak RSS {peak / 1e9:.2f} GB, of which {libraries / 1e9:.2f} GB after the imports")


if __name__ == "__main__":
    main()
