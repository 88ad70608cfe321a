"""One training run: a data folder in, a run folder out. What `fastunet train` and `demo` do.

A run folder holds the bundle (`bundle.json`, `model.safetensors`), `history.csv`, the pictures,
`split.json` (which image was in which part), `skipped.json` (which pairs `skip_bad` left out, and
why), `evaluation/` (the scores with their intervals, as
JSON, tables and a picture), `command.txt`, and `run.json`, which says whether the run is finished;
until then `best/` is a bundle of the best epoch so far.
"""

import io
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import matplotlib.pyplot as plt
import torch
from fastai.callback.progress import CSVLogger, ProgressCallback
from fastai.torch_core import default_device, set_seed
from fastai.vision.learner import model_meta

from fastunet._util.files import write_atomically
from fastunet._util.terminal import say
from fastunet._util.text import listing
from fastunet.callback.best_bundle import SaveBestBundle
from fastunet.callback.epoch_log import EpochLog
from fastunet.callback.time_budget import measure
from fastunet.checks.bad_pairs import save_skipped
from fastunet.checks.resolution import default_side
from fastunet.data.cache import Cache
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import ArchitectureError
from fastunet.evaluation.evaluate import best_threshold, evaluate
from fastunet.evaluation.result import Evaluation
from fastunet.learner import SegmentationLearner, segmentation_learner
from fastunet.masks.codes import Value
from fastunet.pairs.find import find_pairs
from fastunet.pairs.split import save_split
from fastunet.precision import Precision, training_dtype
from fastunet.preprocess import Orientation, Scaling
from fastunet.runs.contents import BEST, SKIPPED, SPLIT
from fastunet.runs.run_folder import RunFolder

EPOCHS = 20  # where neither epochs nor minutes are given
LR_FIND_BATCHES = 100
_REST = 3.0  # seconds for pictures, tables, intervals, files and the end of Python, as measured
_TO_SEE = 0.02  # of the time, to measure what follows on the training; 3 seconds at most
_LEAST = 1.0  # seconds of training, however little was asked for


@dataclass(frozen=True)
class Settings:
    """What a run is asked to do; None leaves the choice to fastunet, which prints it."""

    data: Path
    images: Path | None = None  # folder of images, where the layout is none that is recognised
    masks: Path | None = None
    prefix: str | None = None  # of mask names
    suffix: str | None = None
    classes: Sequence[str] | Mapping[str, Value] | None = None
    void: Sequence[Value] | None = None
    instances: bool = False  # masks number objects; all of them are the foreground
    unknown: Literal["error", "void"] = "error"  # mask values that `classes` does not name
    scaling: Scaling = "auto"  # of images of several types or ranges
    orientation: Orientation | None = None  # of photos whose masks fit upright and as stored
    strict: bool = False  # refuse data in which the audit finds an error
    skip_bad: bool = False  # leave out pairs that cannot be read or do not fit
    arch: str = "unet"
    pretrained: bool = True
    weights: Path | None = None  # of the encoder, instead of those that are published
    width: int | None = None
    epochs: int | None = None
    minutes: float | None = None  # wall clock of the whole run
    size: tuple[int, int] | None = None  # (height, width); None: 256, or 128 on a CPU
    patch: tuple[int, int] | None = None  # instead of the whole image: patches of this size
    scale: float = 1.0  # of the image's own resolution, at which patches are cut
    augment: str | None = None  # a preset
    cache: Cache | None = "auto"
    bs: int | None = None
    lr: float | None = None  # None: the default
    find_lr: int = 0  # ask lr_find, with so many batches, and draw its curve
    valid_pct: float = 0.2
    groups: str | None = None  # "auto", or a regular expression on names
    fold: tuple[int, int] | None = None  # (1, 5): validate on the second of five parts
    split: Path | None = None  # a split.json of an earlier run
    seed: int = 42
    precision: Precision = "auto"  # of training
    monitor: str | None = None  # what says which epoch is the best; None: Dice
    command: str = ""  # what the user typed, for the record
    device: torch.device = field(default_factory=default_device)


def load(settings: Settings) -> ImageMaskDataLoaders:
    """Find, read and split the data, and say what was understood."""
    pairs = find_pairs(
        settings.data,
        settings.images,
        settings.masks,
        settings.prefix,
        settings.suffix,
        missing_ok=settings.skip_bad,
    )
    dls = ImageMaskDataLoaders.from_pairs(
        pairs,
        size=settings.size or default_side(settings.device.type),
        patch=settings.patch,
        scale=settings.scale,
        bs=settings.bs,
        valid_pct=settings.valid_pct,
        seed=settings.seed,
        groups=settings.groups,
        fold=settings.fold,
        split=settings.split,
        classes=settings.classes,
        void=settings.void,
        instances=settings.instances,
        unknown=settings.unknown,
        scaling=settings.scaling,
        orientation=settings.orientation,
        strict=settings.strict,
        skip_bad=settings.skip_bad,
        augment=settings.augment,
        cache=settings.cache,
        device=settings.device,
    )
    parts = ", ".join(f"{len(part)} {name}" for name, part in dls.pairs.items() if part)
    pre = dls.preprocess
    channels = {1: "grey", 3: "RGB"}.get(pre.channels, f"{pre.channels} channels")
    say(f"Data:    {settings.data} ({pairs.layout}): {parts}")
    say(f"Masks:   {dls.codec.describe()}")
    size = f"{pre.size[0]}x{pre.size[1]}"
    way = f"resized to {size}"
    if pre.policy == "patch":
        way = f"patches of {size} at {pre.scale:g} of their resolution"
    say(f"Images:  {channels}, {way}, batches of {dls.bs}")
    if pre.values != "uint8" or pre.nodata:
        say(f"Values:  {pre.describe()}")
    if dls.resolution.summary:
        say(f"Detail:  {dls.resolution.summary}")
    return dls


def learner(
    settings: Settings,
    dls: ImageMaskDataLoaders,
    path: Path = Path(),  # where its history goes
) -> SegmentationLearner:
    """The learner of a run, all of it trainable, with progress for terminals."""
    learn = segmentation_learner(
        dls,
        architecture(settings.arch),
        pretrained=settings.pretrained,
        weights=settings.weights,
        precision=settings.precision,
        monitor=settings.monitor,
        path=path,
        **({} if settings.width is None else {"width": settings.width}),
    )
    learn.unfreeze()
    learn.remove_cb(ProgressCallback)
    learn.add_cb(EpochLog())
    count = sum(p.numel() for p in learn.model.parameters())
    dtype = training_dtype(learn.model, settings.device, settings.precision)
    width = f" of width {learn.model.config['width']}" if settings.arch == "unet" else ""
    where = f"{settings.device.type}, {str(dtype).removeprefix('torch.')}"
    if settings.device.type == "cpu":
        where += f", {torch.get_num_threads()} threads"
    say(f"Network: {settings.arch}{width}, {count:,} parameters; {where}")
    return learn


_FASTAI = "fastai:"  # --arch fastai:resnet34 is the network of fastai's unet_learner


def architecture(name: str) -> str | Callable:
    """The `arch` of `segmentation_learner` that is typed so; raises `ArchitectureError`."""
    if not name.startswith(_FASTAI):
        return name
    known = {builder.__name__: builder for builder in model_meta}
    encoder = name.removeprefix(_FASTAI)
    if encoder not in known:
        raise ArchitectureError(f"--arch {name} is unknown; fastai has {', '.join(sorted(known))}.")
    return known[encoder]


def find_lr(settings: Settings, learn: SegmentationLearner, picture: Path) -> float:
    """fastai's learning-rate finder; its curve goes into `picture`. Returns the suggestion."""
    place = learn.model_dir
    with tempfile.TemporaryDirectory(prefix="fastunet-") as scratch:
        learn.model_dir = scratch  # where fastai keeps the weights from before
        try:
            rate = float(learn.lr_find(num_it=settings.find_lr).valley)
        finally:
            learn.model_dir = place
    save_figure(picture)
    say(f"lr_find: {rate:.2g} (the curve is in {picture})")
    return rate


def train(
    settings: Settings,
    folder: RunFolder,
    started: float | None = None,  # by `time.perf_counter`, from when minutes count; None: now
) -> Evaluation:
    """Train, evaluate at the images' own size, write the run folder and finish it.

    At every moment the best epoch so far is a bundle in `folder.best`. Returns the evaluation on
    the test part where there is one, else on the validation part.
    """
    started = time.perf_counter() if started is None else started
    set_seed(settings.seed)
    dls = load(settings)
    write_atomically(folder.work / "command.txt", (settings.command + "\n").encode())
    save_split(dls.pairs, folder.work / SPLIT, [one.pair for one in dls.skipped])
    if dls.skipped:
        save_skipped(dls.skipped, folder.work / SKIPPED)
        say(f"Skipped: {len(dls.skipped)} pairs; why is in {folder.path / SKIPPED}")
    learn = learner(settings, dls, folder.work)
    folder.check_space(_bytes_needed(learn.model))
    rate = settings.lr or learn.lr
    if settings.find_lr and _has_time_for_lr_find(settings, learn, started):
        rate = find_lr(settings, learn, folder.work / "lr_find.png")
    training = {
        "command": settings.command,
        "arch": settings.arch,
        "lr_max": rate,
        "bs": dls.bs,
        "seed": settings.seed,
        "images": {part: len(pairs) for part, pairs in dls.pairs.items()},
    }
    training |= _fit(settings, learn, rate, folder, training, started)

    if dls.task == "binary":
        learn.threshold = best_threshold(learn, dls.pairs["valid"])
    segmenter = learn.segmenter()
    scores = {
        part: evaluate(segmenter, dls.pairs[part], part)
        for part in ("valid", "test")
        if dls.pairs[part]
    }
    final = scores.get("test", scores["valid"])
    learn.show_results(max_n=4)
    save_figure(folder.work / "results.png")
    final.save(folder.work / "evaluation")
    learn.save_bundle(folder.work, {**final.to_dict(), **_others(scores, final)}, training)
    left_over = folder.finish()

    kept = f"the best epoch by {training['best_by']} on the validation part"
    if training["best_epoch"] is None:
        kept = f"no epoch was the best by {training['best_by']}: the last one"
    say(f"Trained for {training['seconds']:.0f} s; {kept} was kept.\n")
    say(final)
    if final.split == "valid":
        chosen = "best epoch and the threshold were" if dls.task == "binary" else "best epoch was"
        say(f"  (the {chosen} chosen on these images; a test/ part would be independent)")
    if left_over:
        say(f"Files that are not the replaced run's were kept: {listing(left_over, 5)}.")
    return final


def _has_time_for_lr_find(settings: Settings, learn: SegmentationLearner, started: float) -> bool:
    if not settings.minutes:
        return True
    left = started + 60 * settings.minutes - time.perf_counter()
    needed = settings.find_lr * measure(learn, limit=0.05 * left).train
    if needed <= left / 3:
        return True
    say(
        f"lr_find: left out, since its {settings.find_lr} batches would take {needed:.0f} of the "
        f"{left:.0f} s that are left. The default rate is taken."
    )
    return False


def _fit(
    settings: Settings,
    learn: SegmentationLearner,
    rate: float,
    folder: RunFolder,
    facts: dict,  # for the bundle of the best epoch
    started: float,
) -> dict:
    """Train as long as was asked for. Returns what there is to say of it."""
    monitor = learn.monitor or (learn.metrics[0].name if learn.metrics else "valid_loss")
    best = SaveBestBundle(folder.work / BEST, monitor, {**facts, "best_by": monitor})
    callbacks = [CSVLogger(fname="history.csv"), best]
    begun = time.perf_counter()
    if settings.minutes:
        rest = seconds_after(learn, min(3.0, _TO_SEE * 60 * settings.minutes))
        left = started + 60 * settings.minutes - rest - time.perf_counter()
        seconds = max(left, _LEAST)
        say(
            f"Training for {seconds:.0f} of the {60 * settings.minutes:.0f} s at a peak learning "
            f"rate of {rate:.2g}"
        )
        learn.fit_minutes(seconds / 60, rate, cbs=callbacks)
    else:
        epochs = settings.epochs or EPOCHS
        say(f"Training for {epochs} epochs at a peak learning rate of {rate:.2g}")
        learn.fit_one_cycle(epochs, rate, cbs=callbacks)
    return {
        "best_by": monitor,
        "best_epoch": best.best_epoch,
        "epochs": len(learn.recorder.values),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def seconds_after(
    learn: SegmentationLearner,
    allowance: float,  # seconds that finding out may take
) -> float:
    """What follows on the training, in seconds, by some images: scores, pictures, files."""
    parts = learn.dls.pairs
    images = [*parts["valid"], *parts["test"]]
    segmenter = learn.segmenter()
    segmenter.probabilities(images[0].image_files)  # the first time takes longer
    passes: list[tuple[Callable, int]] = [(partial(evaluate, n_boot=0), len(images))]
    if learn.dls.task == "binary":
        passes.append((best_threshold, len(parts["valid"])))

    def seconds_each(count: int) -> list[float]:
        some = [images[i * len(images) // count] for i in range(count)]
        some = [replace(pair, split="valid") for pair in dict.fromkeys(some)]
        times = []
        for score, _ in passes:
            start = time.perf_counter()
            score(segmenter, some, progress=False)
            times.append((time.perf_counter() - start) / len(some))
        return times

    each = seconds_each(min(2, len(images)))
    more = min(len(images), int(allowance / sum(each)))
    if more > 2:
        each = seconds_each(more)
    return sum(seconds * count for seconds, (_, count) in zip(each, passes, strict=True)) + _REST


def _bytes_needed(model: torch.nn.Module) -> int:
    """Three times the weights (the best epoch, its successor, the bundle), and pictures."""
    return 3 * 4 * sum(p.numel() for p in model.parameters()) + 32_000_000


def _others(scores: dict[str, Evaluation], final: Evaluation) -> dict:
    return {part: s.to_dict() for part, s in scores.items() if s is not final}


def save_figure(path: Path) -> None:
    """Write the current figure, whole or not at all, and close it."""
    picture = io.BytesIO()
    plt.savefig(picture, dpi=80, format="png")
    plt.close()
    write_atomically(path, picture.getvalue())
