"""A pair on its way to a batch: fastai transforms of single items and of batches.

Those of single items override `__call__`: fastai's dispatch by type would take longer than they do.
"""

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from copy import copy

import numpy as np
import torch
from fastai.torch_core import TensorImage, TensorMask
from fasttransform import Transform

from fastunet.data.augment import Albumentations, Augment
from fastunet.data.reader import PairReader, Tile
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.pair import Pair
from fastunet.preprocess import Preprocess

drawing = threading.local()  # `rng`: what the views of this thread are drawn from


class ImageTensor(TensorImage):
    """(C, H, W) pixels as read; (B, C, H, W) normalised float32 once in a batch."""


class MaskTensor(TensorMask):
    """(H, W) or (B, H, W) class indices, 255 where void."""


# --- single items -------------------------------------------------------------------------------


class Pixels(np.ndarray):
    """(H, W, C) pixels of an item, before its view is taken."""


class Labels(np.ndarray):
    """(H, W) class indices of an item, before its view is taken."""

    class_locations: Sequence[np.ndarray] = ()  # of its rarer ones: `PairReader.class_locations`


class OfReader(Transform):
    """One that goes by a reader: by what it reads, and by its `Preprocess`."""

    def __init__(self, reader: PairReader):
        super().__init__()
        self._reader = reader

    def of(self, reader: PairReader):
        """The same by another reader."""
        made = copy(self)
        made._reader = reader
        return made


class LoadImage(OfReader):
    """An item to its image: a `Pair`, or what is given to `predict`, an image in any form."""

    input_types = (object,)  # what is no image is refused by name when it is read

    @property
    def reader(self) -> PairReader:
        """`dls.reader`."""
        return self._reader

    def __call__(self, item, **_):
        if isinstance(item, Pair | Tile):
            return self._reader.read(item)[0].view(Pixels)
        preprocess = self._reader.preprocess
        return preprocess.resize(preprocess.prepare(item)).view(Pixels)


class LoadMask(OfReader):
    """A `Pair` to its mask; also where fastai looks for what the data say of classes and loss."""

    input_types = (Pair,)

    def __init__(
        self,
        reader: PairReader,
        default_loss: Callable | None = None,  # makes the loss of a Learner that is given none
    ):
        super().__init__(reader)
        self.codec, self.task = reader.codec, reader.codec.task
        self.vocab, self.c = list(reader.codec.classes), len(reader.codec.classes)
        self._default_loss = default_loss

    @property
    def loss_func(self):
        """`dls.train_ds.loss_func`, which a fastai `Learner` takes; a new one each time."""
        return self._default_loss() if self._default_loss else None

    def __call__(self, item, **_):
        labels = self._reader.read(item)[1].view(Labels)
        if isinstance(item, Pair) and not self._reader.preprocess.sees_whole:
            labels.class_locations = self._reader.class_locations(item)
        return labels


class RandomView(OfReader):
    """Image and mask as tensors of the network's size: in training one random view of both.

    With the policy "patch" a share of the views is centred on one of the image's rarer classes.
    """

    split_idx = None

    def __init__(self, reader: PairReader, augment: Augment | Albumentations):
        super().__init__(reader)
        self.augment = augment
        self.size: tuple[int, int] | None = None  # of training views; None: the network's input

    def __call__(self, sample, split_idx=None, **_):
        image, *masks = (np.asarray(array) for array in sample)
        preprocess = self._reader.preprocess
        if split_idx == 0 and masks:
            rng = getattr(drawing, "rng", random)
            centre = self._centre(sample[1].class_locations, rng)
            size = self.size or preprocess.size
            image, *masks = self.augment(
                image, masks[0], size, fit=preprocess.sees_whole, centre=centre, rng=rng
            )
        elif preprocess.sees_whole:
            image = preprocess.resize(image)
            masks = [preprocess.resize_mask(mask) for mask in masks]
        # else the reader has cut a tile, or predicts the whole image
        tensors = [MaskTensor(torch.from_numpy(mask)) for mask in masks]
        return ImageTensor(torch.from_numpy(image).permute(2, 0, 1)), *tensors

    def _centre(self, class_locations: Sequence[np.ndarray], rng) -> tuple[int, int] | None:
        if not class_locations or rng.random() >= self.augment.rare:
            return None
        row, column = rng.choice(rng.choice(class_locations)).tolist()
        return row, column


# --- batches ------------------------------------------------------------------------------------


@contextmanager
def _one_thread(x: torch.Tensor):
    """Within, PyTorch leaves the other cores to what makes the next batches.

    For one pass over a small batch it would wait for them longer than they save.
    """
    threads = torch.get_num_threads()
    if x.is_cuda or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class ScalePixels(OfReader):
    """A batch of pixels to floats, full scale to 1; before fastai's own batch transforms."""

    order = 10

    def encodes(self, x: ImageTensor):
        with _one_thread(x):
            return self._reader.preprocess.scale_values(x)


class NormalisePixels(OfReader):
    """A batch in 0..1 to mean 0 and standard deviation 1; after fastai's own batch transforms."""

    order = 99

    @property
    def preprocess(self) -> Preprocess:
        """With the statistics that batches are normalised by."""
        return self._reader.preprocess

    def encodes(self, x: ImageTensor):
        with _one_thread(x):
            return self._reader.preprocess.normalise(x)

    def decodes(self, x: ImageTensor):
        return self._reader.preprocess.denormalise(x)


class MaskLegend(Transform):
    """Masks to int64 for the loss; back with their codec, so that they can be drawn."""

    order = 10

    def __init__(self, codec: MaskCodec):
        super().__init__()
        self.codec = codec

    def encodes(self, x: MaskTensor):
        with _one_thread(x):
            return x.long()

    def decodes(self, x: MaskTensor):
        x.codec = self.codec
        return x
