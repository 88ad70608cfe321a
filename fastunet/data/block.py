"""Pairs as fastai data: blocks for `DataBlock`, and `ImageMaskDataLoaders` for the usual case."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from fastai.data.block import DataBlock, TransformBlock
from fastai.data.core import DataLoaders, show_batch, show_results
from fastai.torch_core import TensorImage, TensorMask, default_device
from fastai.vision.augment import RandTransform
from fasttransform import Transform

from fastunet.data import show
from fastunet.data.augment import Augment
from fastunet.data.masks import MaskCodec, Value
from fastunet.data.pairs import Pair, find_pairs
from fastunet.data.reader import PairReader
from fastunet.data.split import split_pairs
from fastunet.errors import SplitError
from fastunet.preprocess import Preprocess


class ImageTensor(TensorImage):
    """(C, H, W) pixels as read; (B, C, H, W) normalised float32 once in a batch."""


class MaskTensor(TensorMask):
    """(H, W) or (B, H, W) class indices, 255 where void."""


# --- transforms ---------------------------------------------------------------------------------


class LoadImage(Transform):
    """An item to its image: a `Pair`, or what is given to `predict`: a path or an array."""

    input_types = (Pair, str, Path, np.ndarray)

    def __init__(self, reader: PairReader):
        super().__init__()
        self.reader, self.preprocess = reader, reader.preprocess

    def encodes(self, item: object):
        if isinstance(item, Pair):
            image, _ = self.reader.read(item)
        else:
            image = self.preprocess.resize(self.preprocess.prepare(item))
        return ImageTensor(torch.from_numpy(image).permute(2, 0, 1))


class LoadMask(Transform):
    """A `Pair` to its mask."""

    input_types = (Pair,)

    def __init__(self, reader: PairReader):
        super().__init__()
        self.reader, self.codec, self.task = reader, reader.codec, reader.codec.task

    def encodes(self, pair: Pair):
        return MaskTensor(torch.from_numpy(self.reader.read(pair)[1]))


class RandomView(RandTransform):
    """Image and mask to network size: one random warp in training, a plain resize elsewhere."""

    split_idx = None

    def __init__(self, preprocess: Preprocess, augment: Augment):
        super().__init__()
        self.preprocess, self.augment = preprocess, augment

    def before_call(self, b, split_idx):
        self.view = self.augment.draw() if split_idx == 0 else None

    def encodes(self, x: ImageTensor):
        image = x.as_subclass(torch.Tensor).permute(1, 2, 0).numpy()
        if self.view:
            image = self.view.warp_image(image, self.preprocess.size)
        else:
            image = self.preprocess.resize(image)
        return ImageTensor(torch.from_numpy(image).permute(2, 0, 1))

    def encodes(self, x: MaskTensor):  # noqa: F811, a transform has one `encodes` per type
        mask = x.as_subclass(torch.Tensor).numpy()
        if self.view:
            mask = self.view.warp_mask(mask, self.preprocess.size)
        else:
            mask = self.preprocess.resize_mask(mask)
        return MaskTensor(torch.from_numpy(mask))


class ScalePixels(Transform):
    """A batch of pixels to floats, full scale to 1; before fastai's own batch transforms."""

    order = 10

    def __init__(self, preprocess: Preprocess):
        super().__init__()
        self.preprocess = preprocess

    def encodes(self, x: ImageTensor):
        return self.preprocess.scale(x)


class NormalisePixels(Transform):
    """A batch in 0..1 to mean 0 and standard deviation 1; after fastai's own batch transforms."""

    order = 99

    def __init__(self, preprocess: Preprocess):
        super().__init__()
        self.preprocess = preprocess

    def encodes(self, x: ImageTensor):
        return self.preprocess.normalise(x)

    def decodes(self, x: ImageTensor):
        return self.preprocess.denormalise(x)


class MaskLegend(Transform):
    """Masks to int64 for the loss; back with their codec, so that they can be drawn."""

    order = 10

    def __init__(self, codec: MaskCodec):
        super().__init__()
        self.codec = codec

    def encodes(self, x: MaskTensor):
        return x.long()

    def decodes(self, x: MaskTensor):
        x.codec = self.codec
        return x


def PairImageBlock(reader: PairReader, augment: Augment | None = None) -> TransformBlock:
    """The image of a `Pair`, for `DataBlock`; `augment` moves the mask too (None: defaults).

    >>> reader = PairReader(codec, preprocess)
    >>> DataBlock((PairImageBlock(reader), PairMaskBlock(reader)), get_items=find_pairs)
    """
    preprocess = reader.preprocess
    return TransformBlock(
        type_tfms=[LoadImage(reader)],
        item_tfms=[RandomView(preprocess, augment or Augment())],
        batch_tfms=[ScalePixels(preprocess), NormalisePixels(preprocess)],
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
    x: ImageTensor, y: MaskTensor, samples, ctxs=None, max_n=9, ncols=None, figsize=None, **kwargs
):
    samples = list(samples)[:max_n]
    images, masks = [_pixels(s[0]) for s in samples], [_indices(s[1]) for s in samples]
    show.show_pairs(images, masks, samples[0][1].codec, ncols, figsize)


@show_results.dispatch
def _show_results(
    x: ImageTensor, y: MaskTensor, samples, outs, ctxs=None, max_n=9, figsize=None, **kwargs
):
    samples, outs = list(samples)[:max_n], list(outs)[:max_n]
    show.show_predictions(
        [_pixels(s[0]) for s in samples],
        [_indices(s[1]) for s in samples],
        [_indices(out[0]) for out in outs],
        samples[0][1].codec,
        figsize,
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
        path: str | os.PathLike,  # a folder in one of the layouts of `find_pairs`
        images: str | os.PathLike | None = None,  # or the two folders by name,
        masks: str | os.PathLike | None = None,
        prefix: str | None = None,  # with what masks have before
        suffix: str | None = None,  # or behind the image's stem
        **kwargs,  # as in `from_pairs`
    ) -> "ImageMaskDataLoaders":
        """Find the pairs, understand the masks, split, decode. Split folders are kept."""
        return cls.from_pairs(find_pairs(path, images, masks, prefix, suffix), **kwargs)

    @classmethod
    def from_pairs(
        cls,
        pairs: Sequence[Pair],
        size: int | tuple[int, int] = 256,  # network input, (height, width) or a square
        bs: int | None = None,  # batch size; None: 16, or a quarter of few training images
        valid_pct: float = 0.2,  # share held out, where the pairs have no split of their own
        seed: int = 42,  # of that split
        classes: Sequence[str] | Mapping[str, Value] | None = None,  # names, or name -> value
        void: Value | Sequence[Value] | None = None,  # value(s) or colour(s) that do not count
        channels: int | None = None,  # None: grey or colour, as the images are
        augment: Augment | None = None,  # None: the defaults of `Augment`
        codec: MaskCodec | None = None,  # instead of inferring one; `classes`, `void` are not read
        preprocess: Preprocess | None = None,  # instead of inferring one
        num_workers: int | None = None,  # None: as many as help
        device: str | torch.device | None = None,  # None: fastai's default
        progress: bool = True,  # bars while files are read
    ) -> "ImageMaskDataLoaders":
        """DataLoaders from pairs.

        Raises `SplitError` where the data are too few for the split or the batch, and names the
        file in `ImageReadError`, `MaskValueError` or `SizeMismatchError`.
        """
        parts = split_pairs(pairs, valid_pct, seed)
        train, valid = parts["train"], parts["valid"]
        if bs is None:
            bs = min(16, len(train), max(2, len(train) // 4))
        if not 1 <= bs <= len(train):
            raise SplitError(
                f"bs={bs}, but the training part holds {len(train)} images, which is not one full "
                f"batch. Pass bs={len(train)} or less."
            )
        if codec is None:
            every = [pair.mask for part in parts.values() for pair in part]
            codec = MaskCodec.infer(every, classes, void, progress=progress)
        if preprocess is None:
            files = [pair.image for pair in train]
            preprocess = Preprocess.infer(files, size, channels, progress=progress)

        reader = PairReader(codec, preprocess)
        kept = reader.keep([*train, *valid], progress)
        device = torch.device(device) if device is not None else default_device()
        if num_workers is None:  # threads of a CPU that trains have better to do
            num_workers = 0 if kept and device.type == "cpu" else min(8, os.cpu_count() or 1)
        block = DataBlock(
            blocks=(PairImageBlock(reader, augment), PairMaskBlock(reader)),
            splitter=lambda items: [
                [i for i, pair in enumerate(items) if pair.split == part]
                for part in ("train", "valid")
            ],
        )
        # path stays ".": a Learner writes its models there, never into the data folder
        made = block.dataloaders([*train, *valid], bs=bs, num_workers=num_workers, device=device)
        dls = cls(*made.loaders, device=device)
        dls.pairs = parts
        return dls
