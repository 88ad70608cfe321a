"""What a fastunet Learner costs beside a bare PyTorch loop that does the same.

`python -m benchmarks.overhead [--rounds 12] [--steps 30]`

Both train the same U-Net of width 16 on the same batch of 16 images at 128 px, with the same loss,
AdamW, one-cycle schedule, number format and memory format. The Learner is the one that
`segmentation_learner` makes, with all of its callbacks. They take turns in one process; the
ratio of the medians is printed, with the quartiles of the ratios of the rounds.
"""

import argparse
import time

import numpy as np
import torch
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders

from benchmarks.train_step import OneBatch, cpu_name
from fastunet import ImageMaskDataLoaders, samples, segmentation_learner
from fastunet.losses import CombinedLoss
from fastunet.models.unet import UNet
from fastunet.optimizer import AdamW
from fastunet.precision import autocast

WIDTH, SIZE, BATCH, RATE = 16, 128, 16, 1e-3
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def learner_steps(precision: str, batch, dls):
    """A function that trains a Learner so many steps."""
    learn = segmentation_learner(
        dls, width=WIDTH, precision=precision, save_best=False, opt_func=AdamW
    )
    learn.remove_cb(ProgressCallback)
    learn.logger = lambda _: None

    def run(steps: int) -> None:
        learn.dls = DataLoaders(OneBatch(batch, steps), OneBatch(batch, 0), device="cpu")
        learn.fit_one_cycle(1, RATE)

    return run


def bare_steps(precision: str, batch):
    """A function that trains so many steps in a loop of plain PyTorch."""
    images, masks = (part.as_subclass(torch.Tensor) for part in batch)
    model = UNet(images.shape[1], 1, width=WIDTH).to(memory_format=torch.channels_last)
    loss_func, dtype = CombinedLoss(), FORMATS[precision]

    def run(steps: int) -> None:
        optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), eps=1e-5)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        model.train()
        for _ in range(steps):
            pixels = images.contiguous(memory_format=torch.channels_last)
            with autocast(pixels.device, dtype):
                logits = model(pixels)
            loss = loss_func(logits.float(), masks)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()

    return run


def seconds(run, steps: int) -> float:
    """For one step."""
    start = time.perf_counter()
    run(steps)
    return (time.perf_counter() - start) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12, help="of each, in turn")
    parser.add_argument("--steps", type=int, default=30, help="training steps in a round")
    args = parser.parse_args()
    data = samples.nuclei(20)
    dls = ImageMaskDataLoaders.from_folder(data, size=SIZE, bs=BATCH, progress=False, device="cpu")
    batch = dls.train.one_batch()
    print(f"torch {torch.__version__} on {cpu_name()}, {torch.get_num_threads()} threads")
    for precision in FORMATS:
        pair = [learner_steps(precision, batch, dls), bare_steps(precision, batch)]
        for run in pair:
            seconds(run, 3)
        rounds = np.array([[seconds(run, args.steps) for run in pair] for _ in range(args.rounds)])
        ours, bare = np.median(rounds, axis=0)
        low, high = np.quantile(rounds[:, 0] / rounds[:, 1], (0.25, 0.75))
        print(
            f"{precision}: Learner {1000 * ours:.1f} ms, bare loop {1000 * bare:.1f} ms a step: "
            f"{ours / bare:.3f} (rounds {low:.3f} to {high:.3f})"
        )


if __name__ == "__main__":
    main()
