"""fastai's data loader, with threads for workers and batches as networks take them fastest."""

import random
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from fastai.data.core import TfmdDL
from fastai.data.transforms import Normalize

from fastunet._util.processes import part_of
from fastunet._util.threads import map_in_order
from fastunet.data.transforms import ImageTensor, NormalisePixels, drawing
from fastunet.errors import TrainingError
from fastunet.preprocess import Preprocess

SECOND_NORMALISATION = (
    "A second normalisation: images are normalised already, by the mean and standard deviation of "
    "the training images. Leave fastai's Normalize out (unet_learner: normalize=False). For other "
    "statistics pass preprocess=Preprocess(..., mean=..., std=...)."
)


class PairDL(TfmdDL):
    """fastai's `TfmdDL`, with threads for workers, and batches in channels_last.

    Decoding and warping leave Python's lock, so threads do what fastai's processes do, without
    starting them each epoch, copying batches between them, or pickling; also where fastai starts
    none (macOS, notebooks on Windows). The batches are the same for any number of threads.
    """

    offs: int  # the number of this process among `num_workers`

    def __init__(
        self,
        dataset,
        *args,
        threads: int = 0,  # that make batches ahead of the training loop
        **kwargs,  # as of `TfmdDL`; `num_workers` are processes
    ):
        super().__init__(dataset, *args, **kwargs)
        self.threads = threads
        self.skip = 0  # batches of the next epoch that are not made
        self.share = (0, 1)  # which part of each batch is made, of how many

    def new(self, dataset=None, cls=None, **kwargs):
        return super().new(dataset, cls, **{"threads": self.threads, **kwargs})

    @property
    def preprocess(self) -> Preprocess:
        """How images enter the network; `AttributeError` where batches are not normalised."""
        for transform in self.after_batch:
            if isinstance(transform, NormalisePixels):
                return transform.preprocess
        raise AttributeError("preprocess")

    def before_iter(self):
        if {Normalize, NormalisePixels} <= {type(transform) for transform in self.after_batch}:
            raise TrainingError(SECOND_NORMALISATION)  # predictions are not normalised twice
        super().before_iter()

    def create_batches(self, samples):
        first = self.skip + self.offs  # of those made here; a process has its own offset
        self.offs, skipped = first % self.num_workers, first // self.num_workers
        if self.prebatched or not self.indexed:
            yield from islice(super().create_batches(samples), skipped, None)
            return
        rng = random.Random(self.rng.getrandbits(64) + self.offs)
        seeded = (
            (indices, [rng.getrandbits(64) for _ in indices]) for indices in self.chunkify(samples)
        )
        rest = islice(seeded, skipped, None)
        yield from map_in_order(self._made, rest, self.threads, ahead=2 * self.threads)

    def _made(self, seeded: tuple[Sequence[int], Sequence[int]]):
        """A batch of the items, their views drawn from the seeds; or this process's part of it.

        A part without an image has the batch's first for a stand-in, since no network takes none.
        """
        pairs = list(zip(*seeded, strict=True))
        items = []
        for index, seed in pairs[part_of(len(pairs), *self.share)] or pairs[:1]:
            drawing.rng = random.Random(seed)
            items.append(self.do_item(index))
        drawing.rng = random
        return self.do_batch(items)

    def create_batch(self, samples):
        if self.prebatched or not isinstance(samples[0][0], ImageTensor):
            return super().create_batch(samples)
        images, *masks = zip(*samples, strict=True)
        pixels = _stacked([image.permute(1, 2, 0) for image in images])
        return pixels.permute(0, 3, 1, 2), *map(_stacked, masks)


def _stacked(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """By numpy: `torch.stack` wakes all threads for so little, and waits where cores are busy."""
    return torch.from_numpy(np.stack([t.as_subclass(torch.Tensor).numpy() for t in tensors]))
