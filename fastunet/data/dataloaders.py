"""Pairs as fastai data: blocks for `DataBlock`, and `ImageMaskDataLoaders` for the usual case."""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
from fastai.data.block import DataBlock
from fastai.data.core import DataLoaders
from fastai.data.transforms import IndexSplitter, Normalize
from fastai.torch_core import default_device
from fastcore.foundation import L
from fasttransform import Transform

from fastunet._util.text import listing
from fastunet.checks.audit import Audit, audit
from fastunet.checks.bad_pairs import (
    Skipped,
    refuse_bad_pairs,
    warn_of_skipped,
    without_bad_pairs,
    without_unknown_values,
)
from fastunet.checks.orientation import choose_orientation
from fastunet.checks.resolution import Resolution, measure_resolution
from fastunet.data.arguments import check_classes, check_options, device_of, is_drawn, two_sides
from fastunet.data.augment import Albumentations, Augmentation, augmentation_of
from fastunet.data.blocks import PairImageBlock, PairMaskBlock
from fastunet.data.cache import Cache
from fastunet.data.loader import SECOND_NORMALISATION
from fastunet.data.reader import PairReader
from fastunet.data.transforms import NormalisePixels
from fastunet.errors import AuditError, FastunetError, SplitError, TrainingError
from fastunet.io.library_messages import gathered_messages
from fastunet.masks.classes import unused_void
from fastunet.masks.codec import MaskCodec
from fastunet.masks.codes import Value
from fastunet.masks.statistics import MaskSetStats
from fastunet.pairs.find import as_pairs, find_pairs
from fastunet.pairs.groups import propose_groups
from fastunet.pairs.pair import Pair
from fastunet.pairs.split import k_fold, split_pairs
from fastunet.pairs.stated_split import StatedSplit, split_as_stated
from fastunet.preprocess import Orientation, Preprocess, Scaling

if TYPE_CHECKING:
    import pandas as pd


# --- pictures, where fastai looks for them ------------------------------------------------------


# --- DataLoaders --------------------------------------------------------------------------------


class ImageMaskDataLoaders(DataLoaders):
    """fastai `DataLoaders` over image/mask pairs.

    `dls.codec` says what the masks hold, `dls.vocab` and `dls.c` are the names and the number of
    the classes, `dls.preprocess` says how images enter the network, `dls.task` is "binary" or
    "multiclass"; `dls.pairs["train" | "valid" | "test"]` are the files of each part, and
    `dls.skipped` those that `skip_bad` left out. `dls.resolution` says what the network's size
    leaves of their masks.
    """

    pairs: dict[str, list[Pair]]
    skipped: Sequence[Skipped] = ()
    resolution: Resolution

    def add_tfms(self, tfms, event, loaders=None):
        """As in fastai; a `Normalize` (`unet_learner` adds one) takes the place of ours."""
        tfms = L(tfms)
        for transform in tfms.filter(_is_normalize):
            self._renormalise(transform)
        others = list(tfms.filter(_is_normalize, negate=True))
        if others:
            super().add_tfms(others, event, loaders)

    def _renormalise(self, by: Normalize | type[Normalize]) -> None:
        """Normalise by other statistics, in these very loaders."""
        if isinstance(by, type) or by.mean is None or by.std is None:
            raise TrainingError(SECOND_NORMALISATION)
        mean, std = (tuple(torch.as_tensor(v).flatten().tolist()) for v in (by.mean, by.std))
        channels = self.preprocess.channels
        if not {len(mean), len(std)} <= {1, channels}:
            raise TrainingError(
                f"Normalize has the statistics of {len(mean)} channels, but the images have "
                f"{channels}. Pass channels={len(mean)} when the loaders are made, or a pretrained "
                "network for as many channels."
            )
        preprocess = replace(self.preprocess, mean=mean, std=std)
        for loader in self.loaders:
            for transform in loader.after_batch:
                if isinstance(transform, NormalisePixels):
                    transform.preprocess = preprocess

    @classmethod
    def from_folder(
        cls,
        path: "str | os.PathLike | pd.DataFrame",  # a folder in one of the layouts of `find_pairs`,
        # a .csv or .tsv table, or a DataFrame
        images: str | os.PathLike | None = None,  # or the two folders by name; of a table, the
        masks: str | os.PathLike | None = None,  # columns
        prefix: str | None = None,  # with what masks have before
        suffix: str | None = None,  # or behind the image's stem
        **kwargs,  # as in `from_pairs`
    ) -> "ImageMaskDataLoaders":
        """Find the pairs, understand the masks, split, decode. Split folders are kept.

        Raises `PairingError`, and what `from_pairs` raises.
        """
        pairs = find_pairs(
            path, images, masks, prefix, suffix, missing_ok=kwargs.get("skip_bad", False)
        )
        return cls.from_pairs(pairs, **kwargs)

    @classmethod
    @gathered_messages()
    def from_pairs(
        cls,
        pairs: "Iterable[Pair | tuple[str | os.PathLike, str | os.PathLike]] | pd.DataFrame",
        size: int | tuple[int, int] = 256,  # the whole image resized to (height, width) or a square
        patch: int | tuple[int, int] | None = None,  # instead: patches of this size,
        scale: float = 1.0,  # cut at this share of the image's own resolution
        bs: int | None = None,  # batch size; None: 16, or a quarter of few training images
        valid_pct: float = 0.2,  # share held out, where the pairs have no split of their own
        test_pct: float = 0.0,  # share kept for the end, where they have no test part
        seed: int = 42,  # of that split
        groups: str | Callable[[Pair], str] | None = None,  # kept in one part; see `split_pairs`
        fold: tuple[int, int] | None = None,  # (0, 5): the first of five parts is held out
        split: StatedSplit | None = None,  # a split's JSON, names by part; see `split_as_stated`
        classes: Sequence[str] | Mapping[str, Value] | None = None,  # names, or name -> value
        void: Value | Sequence[Value] | None = None,  # value(s) or colour(s) that do not count
        instances: bool = False,  # masks number objects: all of them are the foreground
        unknown: Literal["error", "void"] = "error",  # mask values that `classes` does not name
        strict: bool = False,  # audit the data first, and refuse them for any error found
        skip_bad: bool = False,  # leave out, with a warning, pairs that are damaged or do not fit
        channels: int | None = None,  # None: grey or colour, as the images are
        scaling: Scaling = "auto",  # of deep images; see `Preprocess.infer`
        orientation: Orientation | None = None,  # of photos turned by EXIF whose masks fit by size
        # "upright" and as "stored"; None: find it out, or ask
        augment: Augmentation | None = None,  # a preset, an `Augment`, or Albumentations
        batch_tfms: Sequence | Transform | None = None,  # fastai's, before normalisation
        cache: Cache | None = "auto",  # decoded pixels "ram", "disk", whichever has room, or None
        codec: MaskCodec | None = None,  # instead of inferring one; `classes`, `void` are not read
        preprocess: Preprocess | None = None,  # instead of inferring one; `size` etc. are not read
        num_workers: int | None = None,  # threads that make batches; None: as many as help
        processes: bool | None = None,  # instead of threads; None: for Albumentations only
        device: str | torch.device | None = None,  # None: fastai's default
        progress: bool = True,  # bars while files are read
    ) -> "ImageMaskDataLoaders":
        """DataLoaders from pairs: those of `find_pairs`, (image, mask) paths, or a DataFrame.

        With `patch` an epoch shows as many random patches as cover the training images once, and
        validation goes over the whole images tile by tile.

        Raises `PairingError` where `pairs` are none, `SplitError` where they are too few for the
        split or the batch, and names the file in `ImageReadError`, `MaskValueError` or
        `SizeMismatchError`. Warns where the masks lose a class at the network's size.
        """
        pairs = as_pairs(pairs, missing_ok=skip_bad)
        size, patch = two_sides("size", size), two_sides("patch", patch)
        augment = augmentation_of(augment)
        batch_tfms = L(batch_tfms)
        if any(map(_is_normalize, batch_tfms)):
            raise TrainingError(SECOND_NORMALISATION)
        check_options(
            bs=bs,
            scale=scale,
            groups=groups,
            cache=cache,
            scaling=scaling,
            orientation=orientation,
            codec=codec,
            preprocess=preprocess,
            num_workers=num_workers,
            batch_tfms=batch_tfms,
        )
        check_classes(classes)
        device = device_of(device, default_device())
        if not pairs:
            raise SplitError("There are 0 pairs to train on; at least 2 are needed.")
        stated_classes = classes if classes is not None else getattr(pairs, "classes", None)
        stated_void = void if void is not None else getattr(pairs, "void", None) or None
        every, skipped = pairs, []
        if skip_bad:
            pairs, skipped = without_bad_pairs(every, progress)
        if strict:
            _refuse(audit(pairs, classes=stated_classes, void=stated_void, instances=instances,
                          scaling=scaling, orientation=orientation, progress=progress),
                    AuditError)  # fmt: skip
        headers = refuse_bad_pairs(pairs, progress)
        if preprocess is None:
            orientation = choose_orientation(headers, orientation, progress)
        masks = [pair.mask for pair in pairs]
        present = None
        if is_drawn(pairs, split, fold, test_pct):
            stats = MaskSetStats.of(masks, progress)
            present = stats.present
        elif codec is None:
            stats = MaskSetStats.of(masks, progress)
        if codec is None:
            codec = MaskCodec.from_stats(stats, stated_classes, stated_void, instances, unknown)
            if unused := unused_void(stats, void):
                warnings.warn(unused, stacklevel=3)
        if skip_bad:
            pairs, unknown_values = without_unknown_values(pairs, codec, progress)
            skipped += unknown_values
            warn_of_skipped(skipped, len(every))
        if split is not None:  # it may name images that are left out
            parts = _without(skipped, split_as_stated(every, split))
        elif fold is not None:
            parts = k_fold(pairs, fold[1], fold[0], seed, present=present, groups=groups)
        else:
            parts = split_pairs(pairs, valid_pct, seed, test_pct, present, groups)
            _warn_of_torn_groups(pairs, groups)
        if preprocess is None:
            preprocess = Preprocess.infer(
                [pair.image_files for pair in parts["train"]],
                size if patch is None else patch,
                channels,
                "resize" if patch is None else "patch",
                scale,
                scaling,
                progress=progress,
                orientation=orientation,
            )
        channel_files = max((len(pair.image_files) for pair in pairs), default=1)
        preprocess = replace(preprocess, channel_files=channel_files)

        reader = PairReader(codec, preprocess)
        kept = reader.keep([*parts["train"], *parts["valid"]], cache, progress)
        train, valid = parts["train"], parts["valid"]
        masks = [pair.mask for pair in (*train, *valid)]
        resolution = measure_resolution(masks, codec.read, codec.classes, preprocess, progress)
        if resolution.lost:
            warnings.warn(f"{resolution.message} {resolution.advice}", stacklevel=3)
        if preprocess.policy == "patch":
            train = [pair for pair in train for _ in reader.tiles(pair)]
            valid = [tile for pair in valid for tile in reader.tiles(pair)]
        if bs is None:
            bs = min(16, len(train), max(2, len(train) // 4))
        if not 1 <= bs <= len(train):
            what = "images" if preprocess.policy == "resize" else "patches"
            raise SplitError(
                f"bs={bs}, but the training part holds {len(train)} {what}, which is not one full "
                f"batch. Pass bs={len(train)} or less."
            )
        if num_workers is None:  # threads of a CPU that trains have better to do
            num_workers = 0 if kept and device.type == "cpu" else min(8, os.cpu_count() or 1)
        if processes is None:  # the Python code of others would hold the lock of threads
            processes = isinstance(augment, Albumentations)
        block = DataBlock(
            blocks=(PairImageBlock(reader, augment), PairMaskBlock(reader)),
            splitter=IndexSplitter(range(len(train), len(train) + len(valid))),
            batch_tfms=list(batch_tfms),
        )
        # path stays ".": a Learner writes its models there, never into the data folder
        made = block.dataloaders(
            [*train, *valid],
            bs=bs,
            device=device,
            num_workers=num_workers if processes else 0,
            threads=0 if processes else num_workers,
        )
        dls = cls(*made.loaders, device=device)
        dls.pairs, dls.skipped, dls.resolution = parts, skipped, resolution
        return dls


def renormalised(
    dls: DataLoaders,
    mean: Sequence[float],  # per channel, of pixels scaled to 0..1
    std: Sequence[float],
) -> DataLoaders:
    """The same data under another mean and standard deviation; `dls` stays as it is."""
    preprocess = replace(dls.preprocess, mean=tuple(mean), std=tuple(std))
    normalise = NormalisePixels(preprocess)
    loaders = []
    for loader in dls.loaders:
        batch_tfms = [
            normalise if isinstance(t, NormalisePixels) else t for t in loader.after_batch
        ]
        loaders.append(loader.new(after_batch=batch_tfms))
    made = type(dls)(*loaders, path=dls.path, device=dls.device)
    if hasattr(dls, "pairs"):
        made.pairs, made.resolution = dls.pairs, dls.resolution
        made.skipped = dls.skipped
    return made


def _is_normalize(transform: object) -> bool:
    return isinstance(transform, Normalize) or transform is Normalize


# --- before anything is decoded -----------------------------------------------------------------


def _refuse(report: Audit, error: type[FastunetError]) -> None:
    if not report.ok:
        raise error(" ".join(f"{found.message} {found.remedy}" for found in report.errors))


def _without(
    skipped: Sequence[Skipped], parts: Mapping[str, Sequence[Pair]]
) -> dict[str, list[Pair]]:
    left_out = {(one.pair.image, one.pair.mask) for one in skipped}
    kept = {
        name: [pair for pair in some if (pair.image, pair.mask) not in left_out]
        for name, some in parts.items()
    }
    for name in ("train", "valid"):
        if not kept[name]:
            raise SplitError(
                f"No pair of the {name} part can be used: all {len(parts[name])} are left out by "
                "skip_bad=True. Mend them, or choose another split."
            )
    return kept


def _warn_of_torn_groups(pairs: Sequence[Pair], groups) -> None:
    """A random split of what the names show to be groups flatters the scores."""
    if groups is not None or any(pair.split == "valid" or pair.group for pair in pairs):
        return
    proposed = propose_groups(pairs)
    if proposed:
        names = sorted(set(proposed.values()))
        warnings.warn(
            f"File names show {len(names)} groups ({listing(names, 3)}): views of one thing, or "
            "frames of one video. The random split tears them apart, so the scores may be too "
            'good; groups="auto" (--groups auto) keeps each in one part.',
            stacklevel=4,
        )
