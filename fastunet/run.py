"""One training run: a data folder in, a run folder out. What `fastunet train` and `demo` do.

A run folder holds the bundle (`bundle.json`, `model.safetensors`), `history.csv`, the pictures,
`split.json` (which image was in which part), `evaluation/` (the scores with their intervals, as
JSON, tables and a picture) and `command.txt`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import matplotlib.pyplot as plt
import torch
from fastai.callback.progress import CSVLogger, ProgressCallback
from fastai.torch_core import default_device, set_seed
from fastai.vision.learner import model_meta

from fastunet.callback.progress import EpochLog
from fastunet.data.block import ImageMaskDataLoaders
from fastunet.data.cache import Cache
from fastunet.data.codes import Value
from fastunet.data.pairs import find_pairs
from fastunet.data.split import save_split
from fastunet.errors import ArchitectureError, TrainingError
from fastunet.files import write_atomically
from fastunet.inference.bundle import JSON_NAME
from fastunet.learner import SegmentationLearner, segmentation_learner
from fastunet.precision import Precision, training_dtype
from fastunet.report.evaluation import best_threshold, evaluate
from fastunet.report.result import Evaluation

EPOCHS = 20  # where neither epochs nor minutes are given
LR_FIND_BATCHES = 100


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
    strict: bool = False  # refuse data in which the audit finds an error
    arch: str = "unet"
    pretrained: bool = True
    weights: Path | None = None  # of the encoder, instead of those that are published
    width: int | None = None
    epochs: int | None = None
    minutes: float | None = None
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
    command: str = ""  # what the user typed, for the record
    device: torch.device = field(default_factory=default_device)


def load(settings: Settings) -> ImageMaskDataLoaders:
    """Find, read and split the data, and say what was understood."""
    pairs = find_pairs(
        settings.data, settings.images, settings.masks, settings.prefix, settings.suffix
    )
    side = 128 if settings.device.type == "cpu" else 256
    dls = ImageMaskDataLoaders.from_pairs(
        pairs,
        size=settings.size or side,
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
        strict=settings.strict,
        augment=settings.augment,
        cache=settings.cache,
        device=settings.device,
    )
    parts = ", ".join(f"{len(part)} {name}" for name, part in dls.pairs.items() if part)
    pre = dls.preprocess
    channels = {1: "grey", 3: "RGB"}.get(pre.channels, f"{pre.channels} channels")
    print(f"Data:    {settings.data} ({pairs.layout}): {parts}")
    print(f"Masks:   {dls.codec.describe()}")
    size = f"{pre.size[0]}x{pre.size[1]}"
    way = f"resized to {size}"
    if pre.policy == "patch":
        way = f"patches of {size} at {pre.scale:g} of their resolution"
    print(f"Images:  {channels}, {way}, batches of {dls.bs}")
    return dls


def learner(settings: Settings, dls: ImageMaskDataLoaders, path: Path) -> SegmentationLearner:
    """The learner of a run, all of it trainable, with progress for terminals."""
    if settings.width is not None and settings.arch != "unet":
        raise ArchitectureError('--width: this belongs to --arch "unet".')
    learn = segmentation_learner(
        dls,
        _architecture(settings.arch),
        pretrained=settings.pretrained,
        weights=settings.weights,
        precision=settings.precision,
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
    print(f"Network: {settings.arch}{width}, {count:,} parameters; {where}")
    return learn


_FASTAI = "fastai:"  # --arch fastai:resnet34 is the network of fastai's unet_learner


def _architecture(name: str) -> str | Callable:
    if not name.startswith(_FASTAI):
        return name
    known = {builder.__name__: builder for builder in model_meta}
    encoder = name.removeprefix(_FASTAI)
    if encoder not in known:
        raise ArchitectureError(f"--arch {name} is unknown; fastai has {', '.join(sorted(known))}.")
    return known[encoder]


def find_lr(settings: Settings, learn: SegmentationLearner, picture: Path) -> float:
    """fastai's learning-rate finder; its curve goes into `picture`. Returns the suggestion."""
    rate = float(learn.lr_find(num_it=settings.find_lr).valley)
    save_figure(picture)
    print(f"lr_find: {rate:.2g} (the curve is in {picture})")
    return rate


def train(settings: Settings, out: Path, overwrite: bool = False) -> Evaluation:
    """Train, evaluate at the images' own size, and write the run folder.

    Returns the evaluation on the test part where there is one, else on the validation part. Raises
    `TrainingError` where `out` holds a run already and `overwrite` is not set.
    """
    if (out / JSON_NAME).exists() and not overwrite:
        raise TrainingError(
            f"{out} holds a trained model already. Choose another --out, or say --overwrite."
        )
    set_seed(settings.seed)
    dls = load(settings)
    learn = learner(settings, dls, out)
    out.mkdir(parents=True, exist_ok=True)
    rate = find_lr(settings, learn, out / "lr_find.png") if settings.find_lr else settings.lr
    rate = rate or learn.lr

    start = time.time()
    logger = CSVLogger(fname="history.csv")
    if settings.minutes:
        print(f"Training for {60 * settings.minutes:.0f} s at a peak learning rate of {rate:.2g}")
        plan = learn.fit_minutes(settings.minutes, rate, cbs=logger)
        epochs = plan.epochs
    else:
        epochs = settings.epochs or EPOCHS
        print(f"Training for {epochs} epochs at a peak learning rate of {rate:.2g}")
        learn.fit_one_cycle(epochs, rate, cbs=logger)
    seconds = time.time() - start

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
    save_figure(out / "results.png")
    training = {
        "command": settings.command,
        "arch": settings.arch,
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "lr_max": rate,
        "bs": dls.bs,
        "seed": settings.seed,
        "images": {part: len(pairs) for part, pairs in dls.pairs.items()},
    }
    learn.save_bundle(out, {**final.to_dict(), **_others(scores, final)}, training)
    final.save(out / "evaluation")
    write_atomically(out / "command.txt", (settings.command + "\n").encode())
    save_split(dls.pairs, out / "split.json")
    _remove_checkpoint(learn)

    print(f"Trained for {seconds:.0f} s; the best epoch by Dice on the validation part was kept.\n")
    print(final)
    if final.split == "valid":
        chosen = "best epoch and the threshold were" if dls.task == "binary" else "best epoch was"
        print(f"  (the {chosen} chosen on these images; a test/ part would be independent)")
    return final


def _others(scores: dict[str, Evaluation], final: Evaluation) -> dict:
    return {part: s.to_dict() for part, s in scores.items() if s is not final}


def _remove_checkpoint(learn: SegmentationLearner) -> None:
    """The bundle holds these weights now."""
    folder = learn.path / learn.model_dir
    (folder / "best.pth").unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def save_figure(path: Path) -> None:
    """Write the current figure beside, rename, close it."""
    partial = path.with_name(f".{path.name}")
    plt.savefig(partial, dpi=80, format="png")
    plt.close()
    partial.replace(path)
