"""Each diagnosis of the guard in a run that provokes it, and none in healthy runs on real data.

`python -m benchmarks.guard --data FOLDER [--size 64] [--epochs 8] [--seeds 1]`

Each folder in FOLDER is trained on as it is meant to be, with some of its images: no diagnosis
may come. Then the set `--wrong` is trained on in ways that go wrong; each must end in its
diagnosis, and `autopsy` says the most likely cause. Last, what the guard costs: one training with
it and one without take turns, and end with the same weights.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.optimizer import SGD
from fastai.torch_core import set_seed

from fastunet.callback.guard import Guard
from fastunet.causes.autopsy import autopsy
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import FastunetWarning, TrainingError
from fastunet.learner import SegmentationLearner, segmentation_learner
from fastunet.losses import PixelCrossEntropyLoss
from fastunet.pairs.find import find_pairs
from fastunet.pairs.pair import Pair

IMAGES = 40  # of each set
EPOCHS_OF_COST = 6


def some(folder: Path, count: int = IMAGES) -> list[Pair]:
    """Pairs from all over the set, and from each of its parts."""
    pairs = list(find_pairs(folder))
    return pairs[:: max(1, len(pairs) // count)]


def loaders(pairs: Sequence[Pair], size: int, seed: int = 0, **options) -> ImageMaskDataLoaders:
    set_seed(seed)
    return ImageMaskDataLoaders.from_pairs(
        pairs, **{"size": size, "bs": 4, "device": "cpu", "progress": False, **options}
    )


def learner(dls: ImageMaskDataLoaders, seed: int = 0, **options) -> SegmentationLearner:
    set_seed(seed)
    options = {"width": 8, "precision": "fp32", "save_best": False, **options}
    learn = segmentation_learner(dls, **options)
    learn.remove_cb(ProgressCallback)
    learn.logger = lambda *_: None
    return learn


# --- what goes wrong ------------------------------------------------------------------------------


def without_foreground(pairs: Sequence[Pair], size: int, epochs: int) -> SegmentationLearner:
    """Trained on images whose masks are empty."""
    dls = loaders(pairs, size)
    reader, blank = dls.reader, {pair.mask for pair in dls.pairs["train"]}
    read = reader.read

    def emptied(item):
        image, mask = read(item)
        empty = getattr(item, "pair", item).mask in blank
        return image, np.zeros_like(mask) if empty else mask

    reader.read = emptied
    learn = learner(dls)
    learn.fit_one_cycle(epochs)
    return learn


def with_a_rate_that_explodes(pairs: Sequence[Pair], size: int, epochs: int) -> SegmentationLearner:
    """Without normalisation, at a hundred times the usual rate."""
    learn = learner(loaders(pairs, size), norm="none")
    learn.fit(epochs, 0.3)
    return learn


def with_a_loss_that_ends(pairs: Sequence[Pair], size: int, epochs: int) -> SegmentationLearner:
    learn = learner(loaders(pairs, size), norm="none", opt_func=SGD)
    learn.fit(epochs, 30.0)
    return learn


def to_one_class(pairs: Sequence[Pair], size: int, epochs: int) -> SegmentationLearner:
    """The network's last bias says background, and hardly moves."""
    learn = learner(loaders(pairs, size))
    with torch.no_grad():
        list(learn.model.parameters())[-1].fill_(-20.0)
    learn.fit(epochs, 1e-4)
    return learn


def with_another_rate(pairs: Sequence[Pair], size: int, epochs: int) -> SegmentationLearner:
    learn = learner(loaders(pairs, size))
    suggested = learn.lr_find(show_plot=False).valley
    learn.fit_one_cycle(epochs, 40 * suggested)
    return learn


class WrongMasks(Callback):
    """Training masks that belong to other images: all that can be learned is by heart."""

    order = -5  # before anything looks at the batch

    def before_batch(self):
        if self.training:
            self.learn.yb = (self.y.flip(1),)


def by_heart(pairs: Sequence[Pair], size: int, epochs: int) -> SegmentationLearner:
    """Few images with wrong masks, always seen the same way."""
    dls = loaders(pairs[:10], size, augment="none", bs=2)
    learn = learner(dls, norm="group", loss_func=PixelCrossEntropyLoss(), monitor="valid_loss")
    learn.fit(max(40, epochs), 3e-3, cbs=WrongMasks())
    return learn


def standing_still(pairs: Sequence[Pair], size: int, epochs: int) -> SegmentationLearner:
    learn = learner(loaders(pairs, size))
    with torch.no_grad():  # about half of the pixels on either side
        list(learn.model.parameters())[-1].zero_()
    for module in learn.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.0  # its statistics stand still, too
    learn.fit(epochs, 1e-12)
    return learn


Wrong = Callable[[Sequence[Pair], int, int], SegmentationLearner]
PROVOKED: dict[str, Wrong] = {
    "not-finite": with_a_loss_that_ends,
    "no-foreground": without_foreground,
    "rate-far-from-suggested": with_another_rate,
    "exploding-gradients": with_a_rate_that_explodes,
    "one-class-predicted": to_one_class,
    "overfitting": by_heart,
    "scores-never-move": standing_still,
}


def diagnosed(
    train: Callable[[], SegmentationLearner],
) -> tuple[list[str], SegmentationLearner]:
    """The diagnoses of a training, also of one that is stopped; and its learner."""
    begun: list[Guard] = []
    begin = Guard.before_train

    def noted(self):
        begun.append(self)
        begin(self)

    Guard.before_train = noted
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FastunetWarning)
            train()
    except TrainingError:
        pass
    finally:
        Guard.before_train = begin
    return [str(found) for found in begun[-1].diagnoses], begun[-1].learn


# --- what it costs --------------------------------------------------------------------------------


def cost(pairs: Sequence[Pair], size: int) -> str:
    """Fits with and without it: the same weights, and the share of processor time that it takes."""
    ways = [learner(loaders(pairs, size, bs=8), width=16) for _ in range(2)]
    ways[1].remove_cb(Guard)
    inside = 0.0
    call = Guard.__call__

    def timed(self, event):
        nonlocal inside
        begun = time.process_time()
        try:
            return call(self, event)
        finally:
            inside += time.process_time() - begun

    Guard.__call__ = timed
    seconds = []
    try:
        for way in ways:
            set_seed(0)
            way.dls.train.rng.seed(0)
            begun = time.process_time()
            way.fit(EPOCHS_OF_COST, 1e-3)
            seconds.append(time.process_time() - begun)
    finally:
        Guard.__call__ = call
    states = [way.model.state_dict().values() for way in ways]
    same = all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    return (
        f"{100 * inside / seconds[0]:.2f} % of the {seconds[0]:.1f} s of a fit are the guard's; "
        f"without it {seconds[1]:.1f} s; the same weights: {same}"
    )


# --- all of it ------------------------------------------------------------------------------------


def healthy(folder: Path, size: int, epochs: int, seed: int) -> Iterator[str]:
    """Diagnoses of trainings as they are meant to be: at the default rate, and at lr_find's."""
    pairs = some(folder)
    for find in (False, True):

        def train(find: bool = find) -> SegmentationLearner:
            learn = learner(loaders(pairs, size, seed), seed)
            rate = learn.lr_find(show_plot=False).valley if find else None
            learn.fit_one_cycle(epochs, rate)
            return learn

        yield from diagnosed(train)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of data sets")
    parser.add_argument("--sets", help="names of folders in it, with commas; default: all")
    parser.add_argument("--size", type=int, default=64, help="height and width, pixels")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1, help="healthy trainings of each set")
    parser.add_argument("--wrong", default="dsb2018", help="the set that training goes wrong on")
    parser.add_argument("--only", help="one part: healthy, provoked or cost")
    args = parser.parse_args()
    sets = args.sets.split(",") if args.sets else [p.name for p in sorted(args.data.iterdir())]
    folders = [args.data / name for name in sets if (args.data / name).is_dir()]
    if args.only in (None, "healthy"):
        for folder in folders:
            for seed in range(args.seeds):
                found = list(healthy(folder, args.size, args.epochs, seed))
                said = found or "no diagnosis"
                print(f"healthy   {folder.name:<10} seed {seed}: {said}", flush=True)
    pairs = [replace(pair, split="") for pair in some(args.data / args.wrong)]
    if args.only in (None, "provoked"):
        for name, wrong in PROVOKED.items():
            found, learn = diagnosed(lambda wrong=wrong: wrong(pairs, args.size, args.epochs))
            hit = any(one.startswith(f"{name}:") for one in found)
            print(f"provoked  {name}: {'found' if hit else 'MISSED'}")
            for one in found:
                print(f"    {one}")
            first = autopsy(learn).causes[0]
            print(f"    autopsy: {first.aspect}, {first.name}", flush=True)
    if args.only in (None, "cost"):
        print(f"cost      {cost(pairs, args.size)}")


if __name__ == "__main__":
    main()
