"""What the metrics cost: their share of a validation pass, and against torchmetrics.

`python -m benchmarks.metrics [--width 16] [--bs 16] [--rounds 8]`

"pass" is what fastai does to validate a batch: the U-Net in the device's number format,
channels_last, and the loss. "metrics" is what the standard ones (Dice, IoU and accuracy on one
count) add to it, from the logits to the counts; "share" is theirs of both. The last columns are
torchmetrics' `JaccardIndex` and `ConfusionMatrix` on the same logits, as many times as long. All
take turns in one process, and the fastest of each counts; read the ratios.
"""

import argparse
import time
from collections.abc import Callable
from types import SimpleNamespace

import torch
from fastai.torch_core import default_device
from torchmetrics import ConfusionMatrix, JaccardIndex

from benchmarks.train_step import cpu_name
from fastunet.labels import VOID
from fastunet.losses import CombinedLoss
from fastunet.metrics import default_metrics
from fastunet.models.unet import UNet
from fastunet.precision import autocast, choose_dtype

CASES = [(2, 128), (2, 256), (5, 256), (12, 256)]  # classes, height and width in pixels


def contestants(
    classes: int, size: int, width: int, bs: int, device: torch.device
) -> dict[str, Callable[[], None]]:
    """What is timed, by name."""
    channels = 1 if classes == 2 else classes
    model = UNet(3, channels, width=width).to(device, memory_format=torch.channels_last).eval()
    images = torch.randn(bs, 3, size, size, device=device)
    images = images.to(memory_format=torch.channels_last)
    target = torch.randint(0, classes, (bs, size, size), device=device)
    target[torch.rand(target.shape, device=device) < 0.05] = VOID
    loss = CombinedLoss()

    def forward() -> torch.Tensor:
        with autocast(device, choose_dtype(device)):
            return model(images)

    def validate() -> None:
        loss(forward().float(), target)

    logits = forward().float()
    ours = default_metrics()

    def count() -> None:
        # a view, as each batch brings logits of its own; the same ones are counted once
        learn = SimpleNamespace(pred=logits.view_as(logits), yb=(target,), dl=None)
        for metric in ours:
            metric.accumulate(learn)

    options = {"task": "binary"} if classes == 2 else {"task": "multiclass", "num_classes": classes}
    theirs = [
        kind(**options, ignore_index=VOID).to(device) for kind in (JaccardIndex, ConfusionMatrix)
    ]
    scores = logits[:, 0] if classes == 2 else logits
    jaccard, matrix = (lambda metric=metric: metric.update(scores, target) for metric in theirs)
    return {
        "pass": validate,
        "metrics": count,
        "JaccardIndex": jaccard,
        "ConfusionMatrix": matrix,
    }


def seconds(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=16, help="of the U-Net; 16 is usual on a CPU")
    parser.add_argument("--bs", type=int, default=16, help="batch size")
    parser.add_argument("--rounds", type=int, default=8, help="how often each is timed")
    args = parser.parse_args()

    device = default_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else cpu_name()
    threads = "" if device.type == "cuda" else f", {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__} on {name}{threads}; U-Net of width {args.width}")
    titles = f"{'classes':>7} {'size':>5} {'pass':>9} {'metrics':>9} {'share':>6}"
    print(f"{titles} {'JaccardIndex':>13} {'ConfusionMatrix':>16}")
    for classes, size in CASES:
        steps = contestants(classes, size, args.width, args.bs, device)
        for step in steps.values():
            step()  # the first is slower
        rounds = [[seconds(step) for step in steps.values()] for _ in range(args.rounds)]
        validation, ours, jaccard, matrix = map(min, zip(*rounds, strict=True))
        times = f"{1e3 * validation:>6.1f} ms {1e3 * ours:>6.2f} ms"
        ratios = f"{jaccard / ours:>12.1f}x {matrix / ours:>15.1f}x"
        print(f"{classes:>7} {size:>5} {times} {ours / (validation + ours):>6.1%} {ratios}")


if __name__ == "__main__":
    main()
