"""Images per second of fastunet's default training step and of a plain float32 loop.

`python -m benchmarks.train_step [--size 128] [--seconds 20]`

Both train the same scratch U-Net with the same loss: "plain" in the loop that tutorials show, in
float32 and NCHW; "ours" through the Learner of `segmentation_learner` in the format that is fast on
the device. The two take turns in one process, so that a noisy machine slows both; read the ratio.

"share" is the arithmetic of our step, counted by PyTorch, against what the machine can do: the
fastest rate measured here, before and after, of the forward pass of a 3x3 convolution, over the
shapes of the network's own and the formats that the device has.
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
from torch.nn.functional import conv2d
from torch.utils.flop_counter import FlopCounterMode

from fastunet.callback.auto_precision import AutoPrecision
from fastunet.callback.guard import Guard
from fastunet.losses import CombinedLoss
from fastunet.models.unet import UNet
from fastunet.optimizer import AdamW
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


def batch_of(bs: int, size: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(bs, 3, size, size, device=device)
    return images, (torch.rand(bs, size, size, device=device) < 0.3).long()


def ours(width: int, norm: str, batch, device):
    """A function that trains so many steps by fastunet's defaults."""
    model = UNet(3, 1, width=width, norm=norm)
    dls = DataLoaders(OneBatch(batch), OneBatch(batch, 0), device=device)
    learn = Learner(
        dls, model, loss_func=CombinedLoss(), cbs=[AutoPrecision(), Guard()], opt_func=AdamW
    )
    learn.logger = lambda _: None
    learn.remove_cbs([cb for cb in learn.cbs if type(cb).__name__ == "ProgressCallback"])

    def run(steps: int) -> None:
        dls.loaders[0].n = steps
        learn.fit_one_cycle(1, 1e-3)

    return run


def plain(width: int, norm: str, batch, device):
    """A function that trains so many steps in the loop of a tutorial."""
    images, masks = batch
    model = UNet(3, 1, width=width, norm=norm).to(device)
    loss_func, optimizer = CombinedLoss(), torch.optim.Adam(model.parameters(), 1e-3)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss_func(model(images), masks).backward()
            optimizer.step()

    return run


def seconds_per_step(run, steps: int) -> float:
    start = time.perf_counter()
    run(steps)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def operations(width: int, norm: str, batch) -> float:
    """Floating-point operations of a step, forward and backward."""
    images, masks = (part.cpu()[:1] for part in batch)
    model = UNet(3, 1, width=width, norm=norm)
    with FlopCounterMode(display=False) as counter:
        CombinedLoss()(model(images), masks).backward()
    return counter.get_total_flops() * len(batch[0])


@torch.no_grad()
def convolution_rate(width: int, bs: int, size: int, device) -> float:
    """Operations per second of the fastest 3x3 convolution of the network, in its best format."""
    rates = []
    for dtype in (torch.float32, choose_dtype(device)):
        for level in range(5):
            channels, side = width * 2**level, size // 2**level
            pixels = torch.randn(bs, channels, side, side, device=device, dtype=dtype)
            kernel = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
            pixels, kernel = (
                t.contiguous(memory_format=torch.channels_last) for t in (pixels, kernel)
            )
            taken = []
            for _ in range(6):
                start = time.perf_counter()
                conv2d(pixels, kernel, padding=1)
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                taken.append(time.perf_counter() - start)
            rates.append(2 * 9 * channels**2 * side**2 * bs / min(taken))
    return max(rates)


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
    print(f"torch {torch.__version__} on {name}{threads}; ours: {dtype}, channels_last")
    print(
        f"{'width':>5} {'norm':>6} {'batch':>6} {'plain':>8} {'ours':>8} {'ratio':>7} "
        f"{'GFLOP/s':>8} {'of':>6} {'share':>6}"
    )
    for width, norm, bs in CASES:
        bs = args.bs or bs
        batch = batch_of(bs, args.size, device)
        pair = [plain(width, norm, batch, device), ours(width, norm, batch, device)]
        warm = [seconds_per_step(run, 2) for run in pair]
        steps = max(2, int(args.seconds / ROUNDS / sum(warm)))
        before = convolution_rate(width, bs, args.size, device)
        rounds = [[seconds_per_step(run, steps) for run in pair] for _ in range(ROUNDS)]
        most = max(before, convolution_rate(width, bs, args.size, device))
        slow, fast = (min(seconds) for seconds in zip(*rounds, strict=True))
        rate = operations(width, norm, batch) / fast
        print(
            f"{width:>5} {norm:>6} {bs:>6} {bs / slow:>8.1f} {bs / fast:>8.1f} "
            f"{slow / fast:>6.2f}x {rate / 1e9:>8.0f} {most / 1e9:>6.0f} {rate / most:>6.0%}"
        )


if __name__ == "__main__":
    main()
