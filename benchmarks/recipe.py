"""What each part of the training recipe brings: beside the default, with the same seeds and steps.

`python -m benchmarks.recipe --data FOLDER [--seeds 3] [--steps 150] [--size 64] [--out CSV]`

Trains on dsb2018 and camvid in FOLDER with the default recipe, and with one part changed. All take
the same number of steps on the same images; the score is that of the best epoch on the validation
part (Dice, or mean IoU of several classes), at the network's resolution. The table shows the mean
difference to the default with the same seed, its 95 % interval (Student's t over the seeds), and
the processor's time. Each run is a row of the CSV; rows that are there are not run again.
Needs `pip install schedulefree`.
"""

import argparse
import csv
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

import schedulefree
import timm.optim
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.optimizer import OptimWrapper
from fastai.torch_core import set_seed
from scipy.stats import t as student

from benchmarks.train_step import cpu_name
from fastunet import Augment, ImageMaskDataLoaders, segmentation_learner
from fastunet.callback.ema import EMA
from fastunet.losses import CombinedLoss

RESULTS = Path(__file__).with_name("results") / "recipe.csv"
SETS = {"dsb2018": {}, "camvid": {"void": [11]}}
ENCODER = "tf_efficientnet_lite0"  # whose weights come with the extra "offline-weights"
RATE = 3e-3


class AlternatingFlips(Callback):
    """An image is mirrored in each second epoch (K. Jordan, arXiv:2404.00498), not by chance."""

    def before_epoch(self):
        view = next(t for t in self.dls.train.after_item if hasattr(t, "augment"))
        view.augment = _Alternating(self.epoch)


class _Alternating:
    def __init__(self, epoch: int):
        self.epoch = epoch

    def __call__(self, image, mask, *args, **kwargs):
        first = (
            hash(image.__array_interface__["data"][0]) // 64
        )  # decoded images stay where they are
        flip = (first + self.epoch) % 2 == 0
        return Augment(flip_lr=1.0 if flip else 0.0)(image, mask, *args, **kwargs)


class TrainMode(Callback):
    """A schedule-free optimizer has other weights for training than for predicting."""

    order = 55

    def before_train(self):
        self.learn.opt.opt.train()

    def before_validate(self):
        self.learn.opt.opt.eval()


def _one_cycle(learn, epochs: int, rate: float | slice, callbacks) -> None:
    learn.fit_one_cycle(epochs, rate, cbs=callbacks)


def _flat(learn, epochs: int, rate: float, callbacks) -> None:
    learn.fit(epochs, rate, cbs=[*callbacks, TrainMode()])


def _schedule_free(params, warm_up: int, **options):
    options = {"betas": (0.9, 0.99), "weight_decay": 0.01, "warmup_steps": warm_up, **options}
    return OptimWrapper(params, schedulefree.AdamWScheduleFree, **options)


def _cautious(params, **options):
    options = {"betas": (0.9, 0.99), "eps": 1e-5, **options}
    return OptimWrapper(params, timm.optim.AdamWLegacy, caution=True, **options)


@dataclass
class Part:
    """How a run differs from the default."""

    against: str = "default"
    arch: str = "unet"
    options: dict = field(default_factory=dict)  # of the learner
    callbacks: Callable = list
    rate: float | slice = RATE
    fit: Callable = _one_cycle


def parts(steps: int) -> dict[str, Part]:
    return {
        "default": Part(),
        "EMA": Part(callbacks=lambda: [EMA(0.98)]),
        "cautious AdamW": Part(options={"opt_func": _cautious}),
        "schedule-free AdamW": Part(
            options={"opt_func": partial(_schedule_free, warm_up=steps // 20)}, fit=_flat
        ),
        "alternating flips": Part(callbacks=lambda: [AlternatingFlips()]),
        "label smoothing 0.05": Part(options={"loss_func": CombinedLoss(label_smoothing=0.05)}),
        ENCODER: Part(against=ENCODER, arch=ENCODER),
        "layer-wise rates": Part(against=ENCODER, arch=ENCODER, rate=slice(RATE / 10, RATE)),
    }


def run(part: Part, folder: Path, seed: int, steps: int, size: int) -> dict[str, float]:
    """Train once."""
    set_seed(seed)
    dls = ImageMaskDataLoaders.from_folder(
        folder, size=size, bs=16, device="cpu", progress=False, seed=42, **SETS[folder.name]
    )
    set_seed(seed)
    kwargs = {"width": 16} if part.arch == "unet" else {"frozen": False}
    kwargs["monitor"] = "mean_iou" if dls.task == "multiclass" else "dice"
    learn = segmentation_learner(dls, part.arch, precision="fp32", **kwargs, **part.options)
    learn.remove_cb(ProgressCallback)
    learn.logger = lambda *_: None
    epochs = max(1, round(steps / len(dls.train)))
    start = time.process_time()
    part.fit(learn, epochs, part.rate, part.callbacks())
    return {
        "score": learn.keep_best.best_score,
        "steps": epochs * len(dls.train),
        "best_epoch": learn.keep_best.best_epoch,
        "epochs": epochs,
        "cpu_seconds": round(time.process_time() - start, 1),
    }


# --- the table ------------------------------------------------------------------------------------

KEY = ("set", "part", "seed", "steps", "size")
COLUMNS = (*KEY, "score", "best_epoch", "epochs", "cpu_seconds", "machine", "torch", "date")


def read(path: Path) -> list[dict]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, row: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    begins = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if begins:
            writer.writeheader()
        writer.writerow(row)


def print_table(rows: list[dict], known: dict[str, Part]) -> None:
    """The mean of each part, and its difference to what it is compared with."""
    print(f"{'set':<9} {'part':<24} {'runs':>4} {'score':>7} {'difference':>26} {'time':>6}")
    for name in SETS:
        scores = {
            part: {row["seed"]: row for row in rows if (row["set"], row["part"]) == (name, part)}
            for part in known
        }
        for part, mine in scores.items():
            if not mine:
                continue
            line = f"{name:<9} {part:<24} {len(mine):>4} {_mean(mine, 'score'):>7.4f}"
            base = scores[known[part].against]
            shared = sorted(mine.keys() & base.keys())
            if part != known[part].against and shared:
                differences = [
                    float(mine[seed]["score"]) - float(base[seed]["score"]) for seed in shared
                ]
                times = _mean(mine, "cpu_seconds") / _mean(base, "cpu_seconds")
                line += f" {_interval(differences):>26} {times:>5.2f}x"
            print(line)


def _mean(rows: dict[str, dict], column: str) -> float:
    return fmean(float(row[column]) for row in rows.values())


def _interval(values: list[float]) -> str:
    mean = fmean(values)
    if len(values) < 2:
        return f"{mean:+.4f}"
    half = student.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return f"{mean:+.4f} [{mean - half:+.4f}, {mean + half:+.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the sets; none: only the table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=150, help="training steps of a run")
    parser.add_argument("--size", type=int, default=64, help="network input, pixels")
    parser.add_argument("--sets", nargs="+", default=[*SETS], choices=SETS)
    parser.add_argument("--parts", nargs="+", help="some of the parts; default: all")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV of all runs")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    known = parts(args.steps)
    for seed in range(args.seeds) if args.data else ():
        for name in args.sets:
            for part in args.parts or known:
                key = dict(zip(KEY, (name, part, seed, args.steps, args.size), strict=True))
                done = [{k: row[k] for k in KEY} for row in read(args.out)]
                if {k: str(v) for k, v in key.items()} in done:
                    continue
                result = run(known[part], args.data / name, seed, args.steps, args.size)
                print(seed, name, part, f"{result['score']:.4f}", flush=True)
                facts = {"machine": cpu_name(), "torch": torch.__version__, "date": date.today()}
                append(args.out, {**result, **key, **facts})
    print_table(read(args.out), known)


if __name__ == "__main__":
    main()
