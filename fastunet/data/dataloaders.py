"""`ImageMaskDataLoaders`: pairs as fastai data, for the usual case."""

import os
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from fastai.data.block import DataBlock
from fastai.data.core import DataLoaders
from fastai.data.transforms import IndexSplitter, Normalize
from fastai.torch_core import default_device
from fastcore.foundation import L
from fasttransform import Pipeline, Transform

from fastunet._util.options import takes
from fastunet._util.processes import on_this_machine
from fastunet._util.threads import cores
from fastunet.checks.bad_pairs import Skipped
from fastunet.checks.resolution import Resolution
from fastunet.choices import Orientation
from fastunet.data.arguments import check_objects, device_of
from fastunet.data.augment import Albumentations, Augment, augmentation_of
from fastunet.data.blocks import PairImageBlock, PairMaskBlock
from fastunet.data.loader import SECOND_NORMALISATION, PairDL
from fastunet.data.prepare import Understood, prepare, understand
from fastunet.data.reader import PairReader, Tile
from fastunet.data.transforms import OfReader
from fastunet.errors import SplitError, TrainingError
from fastunet.io.library_messages import gathered_messages
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import as_pairs, find_pairs
from fastunet.pairs.pair import Pair
from fastunet.plan import InputOptions, MaskOptions, SplitOptions
from fastunet.preprocess import Preprocess
from fastunet.scan.decoded import DecodedFiles

if TYPE_CHECKING:
    import pandas as pd


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
    measures_bs: bool = False  # bs="auto": the learner is still to find the batch size

    def add_tfms(self, tfms, event, loaders=None):
        """As in fastai; a `Normalize` (`unet_learner` adds one) takes the place of ours."""
        others = []
        for transform in L(tfms):
            if _is_normalize(transform):
                self._renormalise(transform)
            else:
                others.append(transform)
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
        self.reader.preprocess = replace(self.preprocess, mean=mean, std=std)

    @classmethod
    def from_folder(
        cls,
        path: "str | os.PathLike | pd.DataFrame",  # a folder in one of the layouts of `find_pairs`,
        # a .csv or .tsv table, or a DataFrame
        images: str | os.PathLike | None = None,  # or the two folders by name; of a table, the
        masks: str | os.PathLike | None = None,  # columns
        prefix: str | None = None,  # with what masks have before
        suffix: str | None = None,  # or behind the image's stem
        **options,  # as in `from_pairs`
    ) -> "ImageMaskDataLoaders":
        """Find the pairs, understand the masks, split, decode. Split folders are kept.

        Raises `PairingError`, and what `from_pairs` raises.
        """
        missing_ok = options.get("skip_bad", False)
        pairs = find_pairs(path, images, masks, prefix, suffix, missing_ok=missing_ok)
        return cls.from_pairs(pairs, **options)

    @classmethod
    @takes(mask=MaskOptions, split=SplitOptions, input=InputOptions)
    @gathered_messages()
    def from_pairs(
        cls,
        pairs: "Iterable[Pair | tuple[str | os.PathLike, str | os.PathLike]] | pd.DataFrame",
        *,
        mask: MaskOptions,
        split: SplitOptions,
        input: InputOptions,
        batch_tfms: Sequence | Transform | None = None,  # fastai's, before normalisation
        codec: MaskCodec | None = None,  # instead of inferring one; `classes`, `void` are not read
        preprocess: Preprocess | None = None,  # instead of inferring one; `size` etc. are not read
        num_workers: int | None = None,  # threads that make batches; None: as many as help
        processes: bool | None = None,  # instead of threads; None: for Albumentations only
        device: str | torch.device | None = None,  # None: fastai's default
        progress: bool = True,  # bars while files are read
        files: DecodedFiles | None = None,  # what was decoded already, if anything
    ) -> "ImageMaskDataLoaders":
        """DataLoaders from pairs: those of `find_pairs`, (image, mask) paths, or a DataFrame.

        With `bs="auto"` the batch size is that of no `bs`, until a `segmentation_learner` measures.
        With `patch` an epoch shows as many random patches as cover the training images once, and
        validation goes over the whole images tile by tile.

        Raises `PairingError` where `pairs` are none, `SplitError` where they are too few for the
        split or the batch, `OptionError` for a wrong option, and names the file in
        `ImageReadError`, `MaskValueError` or `SizeMismatchError`. Warns where the masks lose a
        class at the network's size.
        """
        pairs = as_pairs(pairs, missing_ok=input.skip_bad)
        check_objects(codec, preprocess, num_workers, L(batch_tfms))
        _check_views(input, batch_tfms)
        device = device_of(device, default_device())
        if not pairs:
            raise SplitError("There are 0 pairs to train on; at least 2 are needed.")
        orientation: Orientation | None = None if preprocess is None else "upright"
        data = understand(pairs, mask, split, input, codec, orientation, progress, files)
        return cls.of_understood(
            data,
            input,
            batch_tfms=batch_tfms,
            preprocess=preprocess,
            num_workers=num_workers,
            processes=processes,
            device=device,
            progress=progress,
        )

    @classmethod
    def of_understood(
        cls,
        understood: Understood,
        input: InputOptions,
        *,
        batch_tfms: Sequence | Transform | None = None,
        preprocess: Preprocess | None = None,
        num_workers: int | None = None,
        processes: bool | None = None,
        device: str | torch.device | None = None,
        progress: bool = True,
    ) -> "ImageMaskDataLoaders":
        """DataLoaders over data that were looked at; otherwise as `from_pairs`."""
        augment = _check_views(input, batch_tfms)
        device = device_of(device, default_device())
        data = prepare(understood, input, preprocess, progress)
        reader = PairReader(data.codec, data.preprocess, data.files)
        kept = reader.keep(data.shown, input.cache, progress)
        train: list[Pair] = data.parts["train"]
        valid: list[Pair | Tile] = [*data.parts["valid"]]
        if not data.preprocess.sees_whole:
            train = [pair for pair in train for _ in reader.tiles(pair)]
            valid = [tile for pair in data.parts["valid"] for tile in reader.tiles(pair)]
        if num_workers is None:  # threads of a CPU that trains have better to do
            num_workers = (
                0 if kept and device.type == "cpu" else min(8, max(1, cores() // on_this_machine()))
            )
        if processes is None:  # the Python code of others would hold the lock of threads
            processes = isinstance(augment, Albumentations)
        block = DataBlock(
            blocks=(PairImageBlock(reader, augment), PairMaskBlock(reader)),
            splitter=IndexSplitter(range(len(train), len(train) + len(valid))),
            batch_tfms=L(batch_tfms),
        )
        # path stays ".": a Learner writes its models there, never into the data folder
        made = block.dataloaders(
            [*train, *valid],
            bs=_batch_size(input.bs, len(train), data.preprocess),
            device=device,
            num_workers=num_workers if processes else 0,
            threads=0 if processes else num_workers,
        )
        dls = cls(*made.loaders, device=device)
        dls.pairs, dls.skipped, dls.resolution = data.parts, data.skipped, data.resolution
        dls.measures_bs = input.bs == "auto"
        return dls


def _check_views(
    input: InputOptions, batch_tfms: Sequence | Transform | None
) -> Augment | Albumentations:
    """The augmentation. Raises `TrainingError` for one that cannot be, or a second `Normalize`."""
    if any(map(_is_normalize, L(batch_tfms))):
        raise TrainingError(SECOND_NORMALISATION)
    return augmentation_of(input.augment)


def _batch_size(asked: int | str | None, count: int, preprocess: Preprocess) -> int:
    """As asked; raises `SplitError` where the training part does not fill such a batch."""
    bs = min(16, count, max(2, count // 4)) if asked is None or isinstance(asked, str) else asked
    if not 1 <= bs <= count:
        what = "images" if preprocess.sees_whole else "patches"
        raise SplitError(
            f"bs={bs}, but the training part holds {count} {what}, which is not one full batch. "
            f"Pass bs={count} or less."
        )
    return bs


def renormalised(
    dls: DataLoaders,
    mean: Sequence[float],  # per channel, of pixels scaled to 0..1
    std: Sequence[float],
) -> DataLoaders:
    """The same data under another mean and standard deviation; `dls` stays as it is."""
    reader = copy(dls.reader)  # what it keeps is shared
    reader.preprocess = replace(dls.preprocess, mean=tuple(mean), std=tuple(std))
    made = copy(dls)
    made.loaders = [_with_reader(loader, reader) for loader in dls.loaders]
    return made


def _with_reader(loader: PairDL, reader: PairReader) -> PairDL:
    def its(transforms: Pipeline) -> Pipeline:
        made = [one.of(reader) if isinstance(one, OfReader) else one for one in transforms.fs]
        return Pipeline(made, transforms.split_idx)

    data = copy(loader.dataset)
    data.tls = L(copy(one) for one in data.tls)
    for one in data.tls:
        one.tfms = its(one.tfms)
    after_item, after_batch = its(loader.after_item), its(loader.after_batch)
    return loader.new(data, after_item=after_item, after_batch=after_batch)


def _is_normalize(transform: object) -> bool:
    return isinstance(transform, Normalize) or transform is Normalize
