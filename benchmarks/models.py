"""Step time, inference time, peak memory and parameters of four U-Nets over one encoder.

`python -m benchmarks.models [--encoder resnet34] [--size 128] [--bs 8] [--seconds 20]`

fastunet's `UNet` (which has no encoder of others) and `TimmUNet`, fastai's `DynamicUnet` as
`unet_learner` builds it, and `segmentation_models_pytorch.Unet`: three channels in, one class out,
random weights, the same loss, optimizer, number format and channels_last for all. A step is
forward, loss, backward and AdamW. All take turns in one process, so that a noisy machine slows all
of them; the ratios are of the fastest round. Peak memory is what steps add to a process of their
own that holds the network and a batch; on CUDA, the allocator's peak.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable

import psutil
import torch
from torch import nn

from benchmarks.train_step import cpu_name
from fastunet.losses import CombinedLoss
from fastunet.precision import Precision, autocast, choose_dtype

ROUNDS = 4
REFERENCE = "TimmUNet"


def unet(encoder: str, size: int) -> nn.Module:
    from fastunet.models.unet import UNet

    return UNet(3, 1, width=32)


def timm_unet(encoder: str, size: int) -> nn.Module:
    from fastunet.models.timm_unet import TimmUNet

    return TimmUNet(encoder, 3, 1, image_size=(size, size))


def dynamic_unet(encoder: str, size: int) -> nn.Module:
    import torchvision
    from fastai.vision.learner import create_unet_model

    build = getattr(torchvision.models, encoder)
    return create_unet_model(build, 1, (size, size), pretrained=False)


def smp_unet(encoder: str, size: int) -> nn.Module:
    import segmentation_models_pytorch as smp
    from segmentation_models_pytorch.encoders import encoders

    name = encoder if encoder in encoders else f"tu-{encoder}"
    return smp.Unet(name, encoder_weights=None, in_channels=3, classes=1)


NETWORKS: dict[str, Callable[[str, int], nn.Module]] = {
    "UNet, width 32": unet,
    "TimmUNet": timm_unet,
    "smp.Unet": smp_unet,
    "fastai DynamicUnet": dynamic_unet,
}


class Bench:
    """A network with a batch, ready to step and to predict."""

    def __init__(self, build: Callable, args: argparse.Namespace):
        torch.manual_seed(0)
        self.device = torch.device(args.device)
        self.dtype = choose_dtype(self.device, args.precision)
        self.model = build(args.encoder, args.size).to(
            self.device, memory_format=torch.channels_last
        )
        self.loss = CombinedLoss()
        self.opt = torch.optim.AdamW(self.model.parameters(), 1e-4)
        shape = args.bs, 3, args.size, args.size
        images = torch.randn(shape, device=self.device)
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.masks = (torch.rand(args.bs, args.size, args.size, device=self.device) < 0.3).long()

    def step(self) -> None:
        self.model.train()
        with autocast(self.device, self.dtype):
            logits = self.model(self.images)
        self.loss(logits.as_subclass(torch.Tensor), self.masks).backward()
        self.opt.step()
        self.opt.zero_grad()

    @torch.inference_mode()
    def predict(self) -> None:
        self.model.eval()
        with autocast(self.device, self.dtype):
            self.model(self.images)

    def seconds(self, work: Callable[[], None], times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            work()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / times


def peak_bytes(name: str, args: argparse.Namespace, answer) -> None:
    """What three steps add at most; run in a process of its own."""
    bench = Bench(NETWORKS[name], args)
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before, scale = torch.cuda.memory_allocated(), 1
    else:
        before, scale = psutil.Process().memory_info().rss, 1 if sys.platform == "darwin" else 1024
    for _ in range(3):
        bench.step()
    if bench.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    answer.put(peak - before)


def measured_alone(name: str, args: argparse.Namespace) -> int:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=peak_bytes, args=(name, args, answer))
    process.start()
    peak = answer.get(timeout=600)
    process.join()
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="resnet34", help="of timm, torchvision and smp")
    parser.add_argument("--size", type=int, default=128, help="height and width, pixels")
    parser.add_argument("--bs", type=int, default=8, help="batch size")
    parser.add_argument("--seconds", type=float, default=20, help="per network, about")
    parser.add_argument("--precision", default="auto", choices=Precision.__args__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    networks = dict(NETWORKS)
    import torchvision

    if not hasattr(torchvision.models, args.encoder):
        del networks["fastai DynamicUnet"]
        print(f"fastai's unet_learner takes no {args.encoder}: it is not one of torchvision's.")
    on = torch.device(args.device)
    name = torch.cuda.get_device_name() if on.type == "cuda" else cpu_name()
    dtype = str(choose_dtype(on, args.precision)).removeprefix("torch.")
    print(
        f"torch {torch.__version__} on {name}, {torch.get_num_threads()} threads; {dtype}, "
        f"channels_last, {args.encoder}, batches of {args.bs} at {args.size} pixels"
    )
    peaks = {name: measured_alone(name, args) for name in networks}
    benches = {name: Bench(build, args) for name, build in networks.items()}
    works = {(name, "step"): bench.step for name, bench in benches.items()}
    works |= {(name, "predict"): bench.predict for name, bench in benches.items()}
    warm = {key: max(benches[key[0]].seconds(work, 2), 1e-4) for key, work in works.items()}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for key, work in works.items():
            times = max(2, int(args.seconds / 2 / ROUNDS / warm[key]))
            best[key] = min(best[key], benches[key[0]].seconds(work, times))

    head = f"{'network':<20} {'parameters':>12} {'step ms':>9} {'predict ms':>11} {'peak MiB':>9}"
    print(f"{head}   against {REFERENCE}: step, predict, memory")
    for name, bench in benches.items():
        count = sum(p.numel() for p in bench.model.parameters())
        step, predict = best[name, "step"], best[name, "predict"]
        ratios = (
            step / best[REFERENCE, "step"],
            predict / best[REFERENCE, "predict"],
            peaks[name] / peaks[REFERENCE],
        )
        row = f"{name:<20} {count:>12,} {1000 * step:>9.1f} {1000 * predict:>11.1f}"
        print(f"{row} {peaks[name] / 2**20:>9.0f}   {', '.join(f'{r:.2f}x' for r in ratios)}")


if __name__ == "__main__":
    main()
