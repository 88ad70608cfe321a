"""One of two processes that validate: prints its figures alone, then of data that both share.

`two_processes.py RANK FILE`; the processes find each other through the file.
"""

import json
import os
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import torch
import torch.distributed as dist
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner

from fastunet.logits import activate
from fastunet.losses import CombinedLoss
from fastunet.metrics import (
    Calibration,
    Confusion,
    DiceScore,
    MeanIoU,
    PixelAccuracy,
    ThresholdCurve,
    dice,
)

if not find_spec("accelerate"):  # without it fastai.distributed fails; only its trainer needs it
    sys.modules["accelerate"] = SimpleNamespace(Accelerator=object)

from fastai.distributed import DistributedDL


class OnCPU(DistributedDL):
    """fastai's, which sends the sample numbers through CUDA."""

    def _broadcast(self, t, rank):
        t = torch.as_tensor(t)
        dist.broadcast(t, rank)
        return t.tolist()


def validate(n: int, rank: int, world: int) -> list[float]:
    torch.manual_seed(n)
    samples = [(torch.randn(3, 8, 8), torch.randint(0, 2, (8, 8))) for _ in range(n)]
    loader = DataLoader(samples, bs=2)
    if world > 1:
        loader = OnCPU(loader, rank, world)
    confusion = Confusion()
    asked = [kind(confusion=confusion) for kind in (DiceScore, MeanIoU, PixelAccuracy)]
    asked.append(DiceScore("per_image"))
    dls = DataLoaders(loader, loader, device="cpu")
    model = torch.nn.Conv2d(3, 1, 3, padding=1)
    with Learner(dls, model, CombinedLoss(), metrics=asked).no_bar() as learn:
        return list(learn.validate())[1:]  # the loss is fastai's


def stream(share: slice) -> list[float]:
    """What is no fastai metric, of a share of five images; an empty share is never counted."""
    torch.manual_seed(0)
    probs = activate(torch.randn(5, 1, 8, 8))[share]
    target = torch.randint(0, 2, (5, 8, 8))[share]
    calibration, curve, confusion = Calibration(), ThresholdCurve(), Confusion(per_image=True)
    if len(probs):
        calibration.update(probs, target)
        curve.update(probs, target)
        confusion.update(probs[:, 0] > 0.5, target, 2)
    calibration, curve, confusion = calibration.gather(), curve.gather(), confusion.gather()
    return [
        calibration.expected_error(),
        calibration.brier(),
        curve.best_threshold(),
        confusion.mean(dice, "per_image"),
    ]


def figures(rank: int, world: int) -> dict[str, list[float]]:
    every = {f"{n} images": validate(n, rank, world) for n in (1, 4, 5, 7)}
    for cut in (0, 2):  # the first process has none, or fewer than the second
        share = slice(None) if world == 1 else [slice(0, cut), slice(cut, 5)][rank]
        every[f"{cut} for the first"] = stream(share)
    return every


def main() -> None:
    rank, file = int(sys.argv[1]), sys.argv[2]
    alone = figures(0, 1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    print(json.dumps({"alone": alone, "shared": figures(rank, 2)}))


if __name__ == "__main__":
    main()
