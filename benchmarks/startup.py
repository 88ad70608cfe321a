"""From `fastunet train` to its first batch: how often files are decoded, and how long it takes.

`python -m benchmarks.startup --data FOLDER [--strict] [--against CHECKOUT] [--rounds 3]`

A fresh process trains on the CPU and is ended when the first batch is there. Decodes are counted by
file where the image libraries are called: OpenCV's and Pillow's decoders, and .npy files. With
`--against`, another checkout of fastunet does the same, in turn with this one, and the ratio of the
median wall clocks is printed. Read the ratio.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]

CHILD = """
import json, os, runpy, sys, threading
from collections import Counter

import cv2
import numpy as np
from PIL import ImageFile

decodes, opened, lock = Counter(), threading.local(), threading.Lock()


def count(path):
    with lock:
        decodes[str(path)] += 1


def counted(function, path_of):
    def call(*args, **kwargs):
        count(path_of(*args))
        return function(*args, **kwargs)
    return call


from_file = np.fromfile
def fromfile(path, *args, **kwargs):
    opened.path = path
    return from_file(path, *args, **kwargs)
np.fromfile = fromfile
cv2.imdecode = counted(cv2.imdecode, lambda *_: opened.path)
cv2.imdecodemulti = counted(cv2.imdecodemulti, lambda *_: opened.path)
cv2.imread = counted(cv2.imread, lambda path, *_: path)
np.load = counted(np.load, lambda path, *_: path)
load = ImageFile.ImageFile.load
def loaded(self):
    if self.tile:
        count(self.filename)
    return load(self)
ImageFile.ImageFile.load = loaded


from fastai.data.load import DataLoader

each = DataLoader.__iter__
def until_the_first(self):
    for batch in each(self):
        from fastunet import find_pairs

        pairs = list(find_pairs(sys.argv[2]))
        for kind in ("image", "mask"):
            numbers = [decodes[str(getattr(pair, kind))] for pair in pairs]
            print(json.dumps({"kind": kind, "files": len(numbers), "most": max(numbers),
                              "mean": sum(numbers) / len(numbers)}), flush=True)
        os._exit(0)
DataLoader.__iter__ = until_the_first
runpy.run_module("fastunet", run_name="__main__")
"""


def start(checkout: Path, args: argparse.Namespace) -> tuple[float, list[dict]]:
    """Seconds of the whole process, and the decodes of images and of masks."""
    command = [sys.executable, "-c", CHILD, "train", str(args.data.resolve()), "--epochs", "1"]
    command += ["--strict"] if args.strict else []
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            command, env=environment, cwd=elsewhere, capture_output=True, text=True, check=False
        )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of images and masks")
    parser.add_argument("--strict", action="store_true", help="audit the data first")
    parser.add_argument("--against", type=Path, help="another checkout of fastunet")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    checkouts = {"this": HERE} | ({"other": args.against.resolve()} if args.against else {})
    seconds: dict[str, list[float]] = {name: [] for name in checkouts}
    for number in range(args.rounds):
        for name, checkout in checkouts.items():
            took, decodes = start(checkout, args)
            seconds[name].append(took)
            if number == 0:
                for each in decodes:
                    print(
                        f"{name}: {each['files']} {each['kind']}s, decoded {each['mean']:.2f} "
                        f"times each ({each['most']} at most)"
                    )
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    for name, value in middle.items():
        print(f"{name}: {value:.1f} s from command to first batch (median of {args.rounds})")
    if args.against:
        print(f"ratio this / other: {middle['this'] / middle['other']:.2f}")


if __name__ == "__main__":
    main()
