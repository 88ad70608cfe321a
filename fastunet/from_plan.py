"""From a plan to a learner, step by step: look at the data, fill in the plan, load, build."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from fastai.callback.progress import ProgressCallback
from fastai.callback.training import GradientAccumulation, GradientClip
from fastai.torch_core import default_device, set_seed

from fastunet._util import processes
from fastunet._util.load import OtherPrograms
from fastunet._util.terminal import say
from fastunet.better_than import check_old
from fastunet.callback.epoch_log import EpochLog
from fastunet.callback.growing_size import GrowingSize
from fastunet.callback.tracking_services import check_installed
from fastunet.choices import Precision
from fastunet.cpu_threads import fastest_threads
from fastunet.data.arguments import device_of
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.data.prepare import Understood, understand
from fastunet.errors import OptionError, SplitError
from fastunet.finish import save_figure
from fastunet.io.library_messages import gathered_messages
from fastunet.learner import SegmentationLearner, segmentation_learner
from fastunet.losses.combined import LOSSES
from fastunet.models.build import architecture
from fastunet.models.unet import UNet
from fastunet.optimizer import OPTIMIZERS
from fastunet.pairs.find import find_pairs
from fastunet.pairs.pair import PairList
from fastunet.plan import AUTO, EPOCHS, Plan
from fastunet.planner.fill import fill
from fastunet.planner.reasons import Reason
from fastunet.precision import training_dtype
from fastunet.scan.decoded import DecodedFiles

_SHARED = 0.25  # cores that others use, from which it may pay to take fewer
_TO_SIZE, _SIZING = 0.05, 30.0  # share of the time, and seconds, to measure batch sizes at most
_PRECISIONS: dict[torch.dtype, Precision] = {
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.float32: "fp32",
}


def begin(plan: Plan) -> None:
    """Find a mistyped network before the data are read; set threads and random numbers."""
    arch, weights = plan.model.arch, plan.model.weights
    if weights is not None and not weights.is_file():
        raise OptionError(f'weights="{weights}": there is no file {weights}.')
    if arch not in ("unet", AUTO) and architecture(arch) == arch:
        from fastunet.models.timm_encoders import check_name  # timm takes a while

        check_name(arch)
    for service in plan.fit.track or ():
        check_installed(service)
    if plan.fit.better_than is not None:
        check_old(plan.fit.better_than)
    device(plan)
    if plan.fit.threads:
        torch.set_num_threads(plan.fit.threads)
    set_seed(plan.split.seed)


def device(plan: Plan) -> torch.device:
    """Where the plan's network trains. Raises `OptionError` for a device that does not work."""
    return device_of(plan.fit.device, default_device())


def share_the_cores(programs: OtherPrograms) -> None:
    """Take fewer threads where other programs make all of them slower."""
    threads, busy = torch.get_num_threads(), programs.cores()
    if threads == 1 or busy < _SHARED:
        return
    fastest = fastest_threads(threads)
    torch.set_num_threads(fastest)
    if fastest < threads:
        say(f"Threads: {fastest} of {threads}: others use {busy:.1f} cores, and fewer are faster")


def look_at(
    plan: Plan, pairs: PairList | None = None, files: DecodedFiles | None = None
) -> Understood:
    """Find, read and split the data, as far as not done yet; say what was understood."""
    pairs = pairs or find_pairs(*plan.files.words, missing_ok=plan.input.skip_bad)
    if not pairs:
        raise SplitError("There are 0 pairs to train on; at least 2 are needed.")
    with gathered_messages():
        data = understand(pairs, plan.mask, plan.split, plan.input, files=files)
    parts = ", ".join(f"{len(part)} {name}" for name, part in data.parts.items() if part)
    say(f"Data:    {plan.files.data} ({pairs.layout}): {parts}")
    say(f"Masks:   {data.codec.describe()}")
    return data


def fill_in(
    plan: Plan,
    data: Understood,
    started: float | None = None,  # by `time.perf_counter`, from when the plan's minutes count
    trains: bool = True,  # how long, and in which folds, is to be chosen, too
) -> tuple[Plan, list[Reason]]:
    """Choose what the plan leaves open, and say why."""
    left = None
    if plan.fit.minutes and started is not None:
        left = started + 60 * plan.fit.minutes - processes.clock()
    plan, reasons = processes.from_first(partial(fill, plan, data, device(plan), left, trains))
    for number, one in enumerate(reasons):
        say(f"{'Plan:' if not number else '':8} {one}")
    return plan, reasons


def load(plan: Plan, data: Understood) -> ImageMaskDataLoaders:
    """The loaders of a plan in which nothing is open; say what the network sees."""
    measured = plan.input.bs == "auto"  # by `learner`
    input = replace(plan.input, bs=None) if measured else plan.input
    with gathered_messages():
        dls = ImageMaskDataLoaders.of_understood(data, input, device=device(plan))
    pre = dls.preprocess
    channels = {1: "grey", 3: "RGB"}.get(pre.channels, f"{pre.channels} channels")
    size = f"{pre.size[0]}x{pre.size[1]}"
    way = f"resized to {size}"
    if not pre.sees_whole:
        way = f"patches of {size} at {pre.scale:g} of their resolution"
    batches = "" if measured else f", batches of {dls.bs}"
    say(f"Images:  {channels}, {way}{batches}")
    if pre.values != "uint8" or pre.nodata:
        say(f"Values:  {pre.describe()}")
    if dls.resolution.summary:
        say(f"Detail:  {dls.resolution.summary}")
    return dls


def learner(
    plan: Plan,
    dls: ImageMaskDataLoaders,
    path: Path = Path(),  # where its history goes
) -> SegmentationLearner:
    """The learner of a run, all of it trainable, with progress for terminals."""
    arch = plan.model.arch
    width: dict[str, Any] = {} if plan.model.width is None else {"width": plan.model.width}
    learn = segmentation_learner(
        dls,
        architecture(arch),
        pretrained=plan.model.pretrained,
        frozen=False,
        weights=plan.model.weights,
        precision=plan.fit.precision,
        opt_func=OPTIMIZERS[plan.fit.optimizer],
        loss_func=LOSSES.get(plan.fit.loss),  # "combined" is none of them, but the default
        monitor=plan.fit.monitor,
        path=path,
        **width,
    )
    learn.remove_cb(ProgressCallback)
    learn.add_cb(EpochLog())
    grow_from = plan.fit.grow_from or 1
    if grow_from < 1 and dls.preprocess.sees_whole:
        learn.add_cb(GrowingSize(grow_from))
    if processes.count() > 1:
        from fastunet.callback.data_parallel import DataParallel

        learn.auto_precision.precision = _precision(learn, plan.fit.precision)
        learn.add_cb(DataParallel())
    count = sum(p.numel() for p in learn.model.parameters())
    dtype = training_dtype(learn.model, dls.device, plan.fit.precision)
    of_width = f" of width {_width(learn)}" if arch == "unet" else ""
    where = f"{dls.device.type}, {str(dtype).removeprefix('torch.')}"
    if dls.device.type == "cpu":
        where += f", {torch.get_num_threads()} threads"
    if processes.count() > 1:
        where += f", {processes.count()} processes"
    say(f"Network: {arch}{of_width}, {count:,} parameters; {where}")
    learn.micro_batches.size = plan.fit.micro_batch
    if plan.input.bs == "auto" and processes.count() > 1:
        raise OptionError('bs="auto" measures one process; name the batch of all together, bs=16.')
    if plan.input.bs == "auto":
        share = _TO_SIZE * 60 * plan.fit.minutes if plan.fit.minutes else math.inf
        say(f"Batches: {learn.find_batch_size(min(_SIZING, share))}")
    if plan.fit.accumulate > len(learn.dls.train):
        raise OptionError(
            f"accumulate={plan.fit.accumulate}, but an epoch has {len(learn.dls.train)} batches: "
            "so many or less were expected."
        )
    if plan.fit.accumulate > 1:
        learn.add_cb(GradientAccumulation(plan.fit.accumulate * learn.dls.train.bs))
    if plan.fit.clip:
        learn.add_cb(GradientClip(plan.fit.clip))
    return learn


def _precision(learn: SegmentationLearner, asked: Precision) -> Precision:
    """The number format that the first process finds fast, where none is asked for."""
    dtype = partial(training_dtype, learn.model, learn.dls.device, asked)
    return _PRECISIONS[processes.from_first(dtype)]


def _width(learn: SegmentationLearner) -> int | None:
    return int(learn.model.config["width"]) if isinstance(learn.model, UNet) else None


def find_lr(
    learn: SegmentationLearner,
    batches: int,
    picture: Path,  # where the curve goes
) -> float:
    """Ask `lr_find` for a learning rate. Returns its suggestion."""
    rate = learn.lr_find(num_it=batches).valley
    if processes.is_first():
        save_figure(picture)
    say(f"lr_find: {rate:.2g} (the curve is in {picture})")
    return rate


def decided(
    plan: Plan,
    learn: SegmentationLearner,
    rate: float,  # the peak learning rate
) -> Plan:
    """The plan with all that was chosen for this run, to repeat it from any folder."""
    dls, asked = learn.dls, plan.from_anywhere().options
    chosen = {
        "size": dls.preprocess.size if dls.preprocess.sees_whole else None,
        "bs": dls.bs,
        "augment": asked["augment"] or "scene",
        "width": _width(learn),
        "epochs": None if asked["minutes"] else asked["epochs"] or EPOCHS,
        "lr": rate,
        "precision": _precision(learn, asked["precision"]),
        "device": dls.device.type,
        "threads": torch.get_num_threads(),
    }
    return Plan.of(**asked | chosen, clock=plan.clock)
