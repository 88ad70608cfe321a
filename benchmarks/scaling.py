"""What several GPUs or machines gain: bytes per step over link speed, against seconds per step.

`python -m benchmarks.scaling --step 0.15 [--bs 16] [--classes 2] [--size 256]`

`--step` is the time of one training step of one process on its part of the batch (forward, backward
and optimizer), which `benchmarks.train_step` measures on the machine at hand. Arithmetic, not a
measurement: links at their nominal speed, nothing of the transfer hidden behind the backward pass.
With DDP a part of it is, so that the figures are a lower bound on what the link allows; latencies
and slow disks are not in them.

A ring all-reduce of n processes sends and receives 2 (n - 1) / n times the gradients over the
slowest link, float32. To it comes what fastunet gathers so that the loss sees the whole batch: the
logits (float32) and the truth (one byte a pixel) of the others' images.
"""

import argparse

from fastunet.models.unet import UNet

PROCESSES = 8
LINKS = {  # bytes per second in one direction, nominal
    "NVLink 4, 8 GPUs": 450e9,
    "PCIe 4 x16, 8 GPUs": 32e9,
    "100 Gb/s, 8 machines": 12.5e9,
    "25 Gb/s, 8 machines": 3.125e9,
}


def parameters(width: int, classes: int) -> int:
    """Of fastunet's U-Net for RGB images."""
    network = UNet(3, 1 if classes == 2 else classes, width=width)
    return sum(p.numel() for p in network.parameters())


def bytes_of_gradients(count: int, processes: int) -> float:
    """Through the slowest link, for one step; `count` parameters."""
    return count * 4 * 2 * (processes - 1) / processes


def bytes_of_batch(bs: int, size: int, classes: int, processes: int) -> float:
    """Logits and truth of the others' images, for one step."""
    channels = 1 if classes == 2 else classes
    return bs * size**2 * (4 * channels + 1) * (processes - 1) / processes


def main() -> None:
    """Print the table, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=float, nargs="+", default=[0.05, 0.2], help="seconds")
    parser.add_argument("--bs", type=int, default=128, help="images of the whole batch")
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    asked = parser.parse_args()
    steps = " | ".join(f"efficiency at {step:g} s" for step in asked.step)
    print(f"| U-Net | link | MB per step | transfer, s | {steps} |")
    print("|---|---|---|---|" + "---|" * len(asked.step))
    for width in (32, 64):
        count = parameters(width, asked.classes)
        sent = bytes_of_gradients(count, asked.processes)
        sent += bytes_of_batch(asked.bs, asked.size, asked.classes, asked.processes)
        for link, speed in LINKS.items():
            seconds = sent / speed
            shares = " | ".join(f"{step / (step + seconds):.0%}" for step in asked.step)
            name = f"width {width}, {count / 1e6:.1f} M"
            print(f"| {name} | {link} | {sent / 1e6:.0f} | {seconds:.4f} | {shares} |")


if __name__ == "__main__":
    main()
