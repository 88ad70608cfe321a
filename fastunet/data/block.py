"""Pairs as fastai data: blocks for `DataBlock`, and `ImageMaskDataLoaders` for the usual case."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from fastai.data.block import DataBlock, TransformBlock
from fastai.data.core import DataLoaders, show_batch, show_results
from fastai.data.transforms import IndexSplitter
from fastai.torch_core import default_device

from fastunet.data import show
from fastunet.data.audit import Audit, audit
from fastunet.data.augment import Albumentations, Augment, Preset
from fastunet.data.cache import Cache
from fastunet.data.codes import Value
from fastunet.data.groups import propose_groups
from fastunet.data.loader import PairDL
from fastunet.data.masks import MaskCodec
from fastunet.data.pairs import Pair, find_pairs
from fastunet.data.reader import PairReader
from fastunet.data.split import k_fold, load_split, split_pairs
from fastunet.data.survey import Survey
from fastunet.data.transforms import (
    ImageTensor,
    LoadImage,
    LoadMask,
    MaskLegend,
    MaskTensor,
    NormalisePixels,
    RandomView,
    ScalePixels,
)
from fastunet.errors import (
    AuditError,
    FastunetError,
    ImageReadError,
    SizeMismatchError,
    SplitError,
    listing,
)
from fastunet.preprocess import Preprocess, Scaling

_HEADERS = 5000  # pairs whose sizes are compared before anything is decoded


def PairImageBlock(
    reader: PairReader,
    augment: Preset | Augment | Albumentations | None = None,  # None: the defaults of `Augment`
) -> TransformBlock:
    """The image of a `Pair`, for `DataBlock`; `augment` moves the mask too.

    >>> reader = PairReader(codec, preprocess)
    >>> DataBlock((PairImageBlock(reader), PairMaskBlock(reader)), get_items=find_pairs)
    """
    preprocess = reader.preprocess
    augment = Augment.preset(augment) if isinstance(augment, str) else augment or Augment()
    return TransformBlock(
        type_tfms=[LoadImage(reader)],
        item_tfms=[RandomView(preprocess, augment)],
        batch_tfms=[ScalePixels(preprocess), NormalisePixels(preprocess)],
        dl_type=PairDL,
    )


def PairMaskBlock(reader: PairReader) -> TransformBlock:
    """The mask of a `Pair`, for `DataBlock`."""
    return TransformBlock(type_tfms=[LoadMask(reader)], batch_tfms=[MaskLegend(reader.codec)])


# --- pictures, where fastai looks for them ------------------------------------------------------


def _pixels(image: torch.Tensor) -> np.ndarray:
    return image.detach().cpu().as_subclass(torch.Tensor).permute(1, 2, 0).float().numpy()


def _indices(mask: torch.Tensor) -> np.ndarray:
    return mask.detach().cpu().as_subclass(torch.Tensor).numpy().astype(np.uint8)


@show_batch.dispatch
def _show_batch(
    x: ImageTensor, y: MaskTensor, samples, ctxs=None, max_n=9, ncols=None, figsize=None,
    bands=None, **kwargs,
):  # fmt: skip
    samples = list(samples)[:max_n]
    images, masks = [_pixels(s[0]) for s in samples], [_indices(s[1]) for s in samples]
    show.show_pairs(images, masks, samples[0][1].codec, ncols, figsize, bands)


@show_results.dispatch
def _show_results(
    x: ImageTensor, y: MaskTensor, samples, outs, ctxs=None, max_n=9, figsize=None,
    bands=None, **kwargs,
):  # fmt: skip
    samples, outs = list(samples)[:max_n], list(outs)[:max_n]
    show.show_predictions(
        [_pixels(s[0]) for s in samples],
        [_indices(s[1]) for s in samples],
        [_indices(out[0]) for out in outs],
        samples[0][1].codec,
        figsize,
        bands,
    )


# --- DataLoaders --------------------------------------------------------------------------------


class ImageMaskDataLoaders(DataLoaders):
    """fastai `DataLoaders` over image/mask pairs.

    `dls.codec` says what the masks hold, `dls.preprocess` how images enter the network, `dls.task`
    is "binary" or "multiclass"; `dls.pairs["train" | "valid" | "test"]` are the files of each part.
    """

    pairs: dict[str, list[Pair]]

    @classmethod
    def from_folder(
        cls,
        path: str | os.PathLike,  # a folder in one of the layouts of `find_pairs`, or a CSV file
        images: str | os.PathLike | None = None,  # or the two folders by name,
        masks: str | os.PathLike | None = None,
        prefix: str | None = None,  # with what masks have before
        suffix: str | None = None,  # or behind the image's stem
        **kwargs,  # as in `from_pairs`
    ) -> "ImageMaskDataLoaders":
        """Find the pairs, understand the masks, split, decode. Split folders are kept.

        Raises `PairingError`, and what `from_pairs` raises.
        """
        return cls.from_pairs(find_pairs(path, images, masks, prefix, suffix), **kwargs)

    @classmethod
    def from_pairs(
        cls,
        pairs: Sequence[Pair],
        size: int | tuple[int, int] = 256,  # the whole image resized to (height, width) or a square
        patch: int | tuple[int, int] | None = None,  # instead: patches of this size,
        scale: float = 1.0,  # cut at this share of the image's own resolution
        bs: int | None = None,  # batch size; None: 16, or a quarter of few training images
        valid_pct: float = 0.2,  # share held out, where the pairs have no split of their own
        seed: int = 42,  # of that split
        groups: str | Callable[[Pair], str] | None = None,  # kept in one part; see `split_pairs`
        fold: tuple[int, int] | None = None,  # (0, 5): the first of five parts is held out
        split: str | os.PathLike | Callable | None = None,  # a split's JSON, or pairs -> parts
        classes: Sequence[str] | Mapping[str, Value] | None = None,  # names, or name -> value
        void: Value | Sequence[Value] | None = None,  # value(s) or colour(s) that do not count
        instances: bool = False,  # masks number objects: all of them are the foreground
        unknown: Literal["error", "void"] = "error",  # mask values that `classes` does not name
        strict: bool = False,  # audit the data first, and refuse them for any error found
        channels: int | None = None,  # None: grey or colour, as the images are
        scaling: Scaling = "auto",  # of deep images; see `Preprocess.infer`
        augment: Preset | Augment | Albumentations | None = None,  # None: the defaults of `Augment`
        batch_tfms: Sequence | None = None,  # fastai's batch transforms, before normalisation
        cache: Cache | None = "auto",  # decoded pixels "ram", "disk", whichever has room, or None
        codec: MaskCodec | None = None,  # instead of inferring one; `classes`, `void` are not read
        preprocess: Preprocess | None = None,  # instead of inferring one; `size` etc. are not read
        num_workers: int | None = None,  # threads that make batches; None: as many as help
        processes: bool | None = None,  # instead of threads; None: for Albumentations only
        device: str | torch.device | None = None,  # None: fastai's default
        progress: bool = True,  # bars while files are read
    ) -> "ImageMaskDataLoaders":
        """DataLoaders from pairs.

        With `patch` an epoch shows as many random patches as cover the training images once, and
        validation goes over the whole images tile by tile.

        Raises `SplitError` where the data are too few for the split or the batch, and names the
        file in `ImageReadError`, `MaskValueError` or `SizeMismatchError`.
        """
        if not pairs:
            raise SplitError("There are 0 pairs to train on; at least 2 are needed.")
        stated_classes = classes if classes is not None else getattr(pairs, "classes", None)
        stated_void = void if void is not None else getattr(pairs, "void", None) or None
        if strict:
            _refuse(audit(pairs, classes=stated_classes, void=stated_void, instances=instances,
                          progress=progress), AuditError)  # fmt: skip
        else:
            _refuse_by_headers(pairs)
        present = None
        if codec is None:
            survey = Survey.spread([pair.mask for pair in pairs], progress)
            present = {pair.mask: survey.present.get(pair.mask, frozenset()) for pair in pairs}
            codec = MaskCodec.from_survey(survey, stated_classes, stated_void, instances, unknown)
        if split is not None:
            parts = split(pairs) if callable(split) else load_split(pairs, split)
        elif fold is not None:
            parts = k_fold(pairs, fold[1], fold[0], seed, present=present, groups=groups)
        else:
            parts = split_pairs(pairs, valid_pct, seed, present=present, groups=groups)
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
            )
        channel_files = max((len(pair.image_files) for pair in pairs), default=1)
        preprocess = replace(preprocess, channel_files=channel_files)

        reader = PairReader(codec, preprocess)
        kept = reader.keep([*parts["train"], *parts["valid"]], cache, progress)
        train, valid = parts["train"], parts["valid"]
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
        device = torch.device(device) if device is not None else default_device()
        if num_workers is None:  # threads of a CPU that trains have better to do
            num_workers = 0 if kept and device.type == "cpu" else min(8, os.cpu_count() or 1)
        if processes is None:  # the Python code of others would hold the lock of threads
            processes = isinstance(augment, Albumentations)
        block = DataBlock(
            blocks=(PairImageBlock(reader, augment), PairMaskBlock(reader)),
            splitter=IndexSplitter(range(len(train), len(train) + len(valid))),
            batch_tfms=list(batch_tfms or []),
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
        dls.pairs = parts
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
    made.preprocess = preprocess
    if hasattr(dls, "pairs"):
        made.pairs = dls.pairs
    return made


# --- before anything is decoded -----------------------------------------------------------------


def _refuse_by_headers(pairs: Sequence[Pair]) -> None:
    """Raise, naming all of them, for files that are empty or differ in size from their mask."""
    report = audit(pairs[:: -(-len(pairs) // _HEADERS)], quick=True, progress=False)
    sizes_only = {finding.code for finding in report.errors} == {"size-mismatch"}
    _refuse(report, SizeMismatchError if sizes_only else ImageReadError)


def _refuse(report: Audit, error: type[FastunetError]) -> None:
    if not report.ok:
        raise error(" ".join(f"{found.message} {found.remedy}" for found in report.errors))


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
            stacklevel=3,
        )
