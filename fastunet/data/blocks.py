"""Pairs as fastai blocks for DataBlock, and how batches of them are shown."""

import numpy as np
import torch
from fastai.data.block import TransformBlock
from fastai.data.core import show_batch, show_results
from fastai.interpret import plot_top_losses

from fastunet.data import show
from fastunet.data.augment import Augmentation, augmentation_of
from fastunet.data.loader import PairDL
from fastunet.data.reader import PairReader
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
from fastunet.losses import CombinedLoss


def PairImageBlock(
    reader: PairReader,
    augment: Augmentation | None = None,  # None: the defaults of `Augment`
) -> TransformBlock:
    """The image of a `Pair`, for `DataBlock`; `augment` moves the mask too.

    `augment` may be a transform of Albumentations as it is.

    >>> reader = PairReader(codec, preprocess)
    >>> DataBlock((PairImageBlock(reader), PairMaskBlock(reader)), get_items=find_pairs)
    """
    return TransformBlock(
        type_tfms=[LoadImage(reader)],
        item_tfms=[RandomView(reader, augmentation_of(augment))],
        batch_tfms=[ScalePixels(reader), NormalisePixels(reader)],
        dl_type=PairDL,
    )


def PairMaskBlock(reader: PairReader) -> TransformBlock:
    """The mask of a `Pair`, for `DataBlock`; with `CombinedLoss` for a Learner without a loss."""
    load = LoadMask(reader, CombinedLoss)
    return TransformBlock(type_tfms=[load], batch_tfms=[MaskLegend(reader.codec)])


def _pixels(image: torch.Tensor) -> np.ndarray:
    return image.detach().cpu().as_subclass(torch.Tensor).permute(1, 2, 0).float().numpy()


def _indices(mask: torch.Tensor) -> np.ndarray:
    return mask.detach().cpu().as_subclass(torch.Tensor).numpy().astype(np.uint8)


@show_batch.dispatch
def _show_batch(
    x: ImageTensor,
    y: MaskTensor,
    samples,
    ctxs=None,
    max_n=9,
    ncols=None,
    figsize=None,
    bands=None,
    **_,
):
    samples = list(samples)[:max_n]
    images, masks = [_pixels(s[0]) for s in samples], [_indices(s[1]) for s in samples]
    show.show_pairs(images, masks, samples[0][1].codec, ncols, figsize, bands)


@show_results.dispatch
def _show_results(
    x: ImageTensor, y: MaskTensor, samples, outs, ctxs=None, max_n=9, figsize=None, bands=None, **_
):
    _show_predictions(list(samples)[:max_n], list(outs)[:max_n], figsize, bands)


@plot_top_losses.dispatch
def _plot_top_losses(
    x: ImageTensor, y: MaskTensor, samples, outs, raws, losses, figsize=None, bands=None, **_
):
    _show_predictions(samples, outs, figsize, bands, [float(loss) for loss in losses])


def _show_predictions(samples, outs, figsize, bands, losses=None) -> None:
    images, truths = [_pixels(s[0]) for s in samples], [_indices(s[1]) for s in samples]
    predictions, codec = [_indices(out[0]) for out in outs], samples[0][1].codec
    show.show_predictions(images, truths, predictions, codec, figsize, bands, losses)
