"""Images per second of fastunet's default training step and of a plain float32 one.

`python -m benchmarks.train_step [--size 128] [--seconds 20]`

Both train the same scratch U-Net through a fastai Learner with the same loss. "default" has
`AutoPrecision()` (the device's number format, channels_last), "float32" has neither. The two take
turns in one process, so that a noisy machine slows both; read the ratio.
"""

import argparse
import platform
import time
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import default_device

from fastunet.callback.auto_precision import AutoPrecision
from fastunet.losses import CombinedLoss
from fastunet.models.unet import UNet
from fastunet.precision import choose_dtype

ROUNDS = 4
CASES = [(64, "none", 8), (64, "batch", 8), (32, "batch", 8), (16, "batch", 16)]


@dataclass
class OneBatch:
    """A loader that gives one batch `n` times, from memory."""

    batch: tuple[torch.Tensor, torch.Tensor]
    n: int = 1

    def __iter__(self):
        return islice(repeat(self.batch), self.n)

    def __len__(self):
        return self.n


def learner(width: int, norm: str, bs: int, size: int, device, fast: bool):
    images = torch.randn(bs, 3, size, size, device=device)
    masks = (torch.rand(bs, size, size, device=device) < 0.3).long()
    loader = OneBatch((images, masks))
    dls = DataLoaders(loader, OneBatch(loader.batch, 0), device=device)
    model = UNet(3, 1, width=width, norm=norm)
    callbacks = [AutoPrecision()] if fast else []
    learn = Learner(dls, model, loss_func=CombinedLoss(), cbs=callbacks)
    learn.logger = lambda _: None
    learn.remove_cbs([cb for cb in learn.cbs if type(cb).__name__ == "ProgressCallback"])
    learn.remove_cb(learn.recorder)
    return learn, loader


def seconds_per_step(learn, loader, steps: int) -> float:
    loader.n = steps
    start = time.perf_counter()
    learn.fit(1, 1e-3)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def cpu_name() -> str:
    """The processor's own name where Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="height and width, pixels")
    parser.add_argument("--seconds", type=float, default=20, help="per network, about")
    parser.add_argument("--bs", type=int, help="batch size; default 8, and 16 for width 16")
    args = parser.parse_args()

    device = default_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else cpu_name()
    dtype = str(choose_dtype(device)).removeprefix("torch.")
    threads = "" if device.type == "cuda" else f", {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__} on {name}{threads}; default: {dtype}, channels_last")
    print(f"{'width':>5} {'norm':>6} {'batch':>6} {'float32':>9} {'default':>9} {'ratio':>7}")
    for width, norm, bs in CASES:
        bs = args.bs or bs
        pair = [learner(width, norm, bs, args.size, device, fast) for fast in (False, True)]
        warm = [seconds_per_step(*one, 2) for one in pair]
        steps = max(2, int(args.seconds / ROUNDS / sum(warm)))
        rounds = [[seconds_per_step(*one, steps) for one in pair] for _ in range(ROUNDS)]
        plain, ours = (bs / min(seconds) for seconds in zip(*rounds, strict=True))
        print(f"{width:>5} {norm:>6} {bs:>6} {plain:>9.1f} {ours:>9.1f} {ours / plain:>6.2f}x")


if __name__ == "__main__":
    main()
