"""Image/mask pairs per second into training batches: fastunet, fastai, torch + Albumentations.

`python -m benchmarks.loading --data FOLDER [--size 128] [--workers 2] [--bs 16] [--epochs 4]`

FOLDER is one that `find_pairs` understands. All three give shuffled, augmented, normalised batches
of one size with one number of workers (threads of fastunet, processes of the others), on the CPU,
each team in a process of its own, one after the other. "first" is the first epoch with all decoding
in it; "later" the fastest of the others. Memory is the peak of the largest process of each kind
(resident, shared pages included). Read the ratios.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

TEAMS = ("fastunet", "fastai", "albumentations")


def fastunet_loader(args, pairs, codec):
    from fastunet.data.dataloaders import ImageMaskDataLoaders
    from fastunet.preprocess import Preprocess

    preprocess = Preprocess.infer([pair.image for pair in pairs["train"]], args.size, channels=3)
    every = [*pairs["train"], *pairs["valid"]]

    def load():
        return ImageMaskDataLoaders.from_pairs(
            every,
            bs=args.bs,
            codec=codec,
            preprocess=preprocess,
            num_workers=args.workers,
            device="cpu",
            progress=False,
        ).train

    return load


def fastai_loader(args, pairs, codec):
    """The usual DataBlock: one decode, one resize per item; flips, affine and light per batch."""
    from fastai.vision.all import (
        DataBlock,
        ImageBlock,
        IndexSplitter,
        MaskBlock,
        Normalize,
        Resize,
        aug_transforms,
        imagenet_stats,
    )

    train, valid = pairs["train"], pairs["valid"]
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(list(codec.classes))),
        get_x=lambda pair: pair.image,
        get_y=lambda pair: pair.mask,
        splitter=IndexSplitter(range(len(train), len(train) + len(valid))),
        item_tfms=Resize(args.size, method="squish"),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(*imagenet_stats)],
    )
    return lambda: (
        block.dataloaders(
            [*train, *valid], bs=args.bs, num_workers=args.workers, device="cpu"
        ).train
    )


def albumentations_loader(args, pairs, codec):
    """A torch Dataset as it is usually written: OpenCV decodes, Albumentations does the rest."""
    import albumentations
    import cv2
    import torch

    transform = albumentations.Compose(
        [
            albumentations.Resize(args.size, args.size),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(scale=(0.75, 1.4), rotate=(-15, 15), p=1.0),
            albumentations.RandomBrightnessContrast(0.15, 0.15, p=1.0),
            albumentations.RandomGamma((85, 118), p=1.0),
            albumentations.Normalize(),
            albumentations.ToTensorV2(),
        ]
    )

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(pairs["train"])

        def __getitem__(self, index):
            pair = pairs["train"][index]
            image = cv2.cvtColor(cv2.imread(str(pair.image)), cv2.COLOR_BGR2RGB)
            mask = cv2.imread(str(pair.mask), cv2.IMREAD_GRAYSCALE)
            made = transform(image=image, mask=mask)
            return made["image"], made["mask"].long()

    return lambda: torch.utils.data.DataLoader(
        Pairs(), args.bs, shuffle=True, drop_last=True, num_workers=args.workers
    )


def one_epoch(batches: Iterable) -> tuple[int, float]:
    start = time.perf_counter()
    count = sum(len(batch[0]) for batch in batches)
    return count, time.perf_counter() - start


def child(args) -> None:
    """Measure one team and print it as JSON."""
    from fastunet.masks.codec import MaskCodec
    from fastunet.pairs.find import find_pairs
    from fastunet.pairs.split import split_pairs

    pairs = split_pairs(find_pairs(args.data), valid_pct=0.1)
    codec = MaskCodec.infer([pair.mask for pair in pairs["train"]])
    make = {
        "fastunet": fastunet_loader,
        "fastai": fastai_loader,
        "albumentations": albumentations_loader,
    }[args.child](args, pairs, codec)
    start = time.perf_counter()
    loader = make()
    setup = time.perf_counter() - start
    count, first = one_epoch(loader)
    later = [count / seconds for count, seconds in (one_epoch(loader) for _ in range(args.epochs))]
    peaks = {
        name: resource.getrusage(who).ru_maxrss / 1024  # kilobytes on Linux
        for name, who in (("main", resource.RUSAGE_SELF), ("worker", resource.RUSAGE_CHILDREN))
    }
    print(json.dumps({"first": count / (setup + first), "later": max(later), **peaks}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=128, help="height and width, pixels")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--bs", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=4, help="after the first")
    parser.add_argument("--child", choices=TEAMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args)
        return
    results = {}
    for team in TEAMS:
        command = [sys.executable, "-m", "benchmarks.loading", *sys.argv[1:], "--child", team]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{team} failed:\n{done.stderr}")
        results[team] = json.loads(done.stdout.splitlines()[-1])
    ours = results["fastunet"]
    print(f"{args.data}: to {args.size}x{args.size}, {args.workers} workers, batches of {args.bs}")
    print(f"{'':<16}{'first':>9}{'later':>9}   pairs/s {'main':>7}{'worker':>8}  MiB at most")
    for team, got in results.items():
        print(
            f"{team:<16}{got['first']:>9.0f}{got['later']:>9.0f}           "
            f"{got['main']:>7.0f}{got['worker']:>8.0f}   ours is "
            f"{ours['first'] / got['first']:.1f}x first, {ours['later'] / got['later']:.1f}x later"
        )


if __name__ == "__main__":
    main()
