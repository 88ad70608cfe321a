"""Pairs as fastai data: blocks for `DataBlock`, and `ImageMaskDataLoaders` for the usual case."""

import os
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import starmap
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from fastai.data.block import DataBlock, TransformBlock
from fastai.data.core import DataLoaders, TfmdDL, show_batch, show_results
from fastai.data.transforms import IndexSplitter
from fastai.torch_core import TensorImage, TensorMask, default_device
from fasttransform import Transform

from fastunet.data import show
from fastunet.data.audit import audit
from fastunet.data.augment import Albumentations, Augment, Preset
from fastunet.data.cache import Cache
from fastunet.data.codes import Value
from fastunet.data.masks import MaskCodec
from fastunet.data.pairs import Pair, find_pairs
from fastunet.data.reader import PairReader, Tile
from fastunet.data.split import k_fold, load_split, split_pairs
from fastunet.data.survey import Survey
from fastunet.errors import AuditError, ImageReadError, SizeMismatchError, SplitError
from fastunet.preprocess import Preprocess, Scaling

_HEADERS = 5000  # pairs whose sizes are compared before anything is decoded


class ImageTensor(TensorImage):
    """(C, H, W) pixels as read; (B, C, H, W) normalised float32 once in a batch."""


class MaskTensor(TensorMask):
    """(H, W) or (B, H, W) class indices, 255 where void."""


# --- transforms ---------------------------------------------------------------------------------
# Those of single items override `__call__`: fastai's dispatch by type would take longer than they.


class Pixels(np.ndarray):
    """(H, W, C) pixels of an item, before its view is taken."""


class Labels(np.ndarray):
    """(H, W) class indices of an item, before its view is taken."""

    spots: Sequence[np.ndarray] = ()  # places of its rarer classes; see `PairReader.spots`


class LoadImage(Transform):
    """An item to its image: a `Pair`, or what is given to `predict`: a path or an array."""

    input_types = (Pair, str, Path, np.ndarray)

    def __init__(self, reader: PairReader):
        super().__init__()
        self.reader, self.preprocess = reader, reader.preprocess

    def __call__(self, item, **_):
        if isinstance(item, Pair | Tile):
            image, _ = self.reader.read(item)
        else:
            image = self.preprocess.resize(self.preprocess.prepare(item))
        return image.view(Pixels)


class LoadMask(Transform):
    """A `Pair` to its mask."""

    input_types = (Pair,)

    def __init__(self, reader: PairReader):
        super().__init__()
        self.reader, self.codec, self.task = reader, reader.codec, reader.codec.task

    def __call__(self, item, **_):
        labels = self.reader.read(item)[1].view(Labels)
        if isinstance(item, Pair) and self.reader.preprocess.policy == "patch":
            labels.spots = self.reader.spots(item)
        return labels


class RandomView(Transform):
    """Image and mask as tensors of the network's size: in training one random view of both.

    With the policy "patch" a share of the views is centred on one of the image's rarer classes.
    """

    split_idx = None

    def __init__(self, preprocess: Preprocess, augment: Augment | Albumentations):
        super().__init__()
        self.preprocess, self.augment = preprocess, augment

    def __call__(self, sample, split_idx=None, **_):
        image, *masks = (np.asarray(array) for array in sample)
        if split_idx == 0 and masks:
            rng = getattr(_this_thread, "rng", random)
            image, *masks = self.augment(
                image,
                masks[0],
                self.preprocess.size,
                fit=self.preprocess.policy == "resize",
                centre=self._centre(sample[1].spots, rng),
                rng=rng,
            )
        elif self.preprocess.policy == "resize":
            image = self.preprocess.resize(image)
            masks = [self.preprocess.resize_mask(mask) for mask in masks]
        # else the reader has cut a tile, or predicts the whole image
        tensors = [MaskTensor(torch.from_numpy(mask)) for mask in masks]
        return ImageTensor(torch.from_numpy(image).permute(2, 0, 1)), *tensors

    def _centre(self, spots: Sequence[np.ndarray], rng) -> tuple[int, int] | None:
        if not spots or rng.random() >= self.augment.rare:
            return None
        row, column = rng.choice(rng.choice(spots)).tolist()
        return row, column


_this_thread = threading.local()  # `rng`: what the views of this thread are drawn from


class PairDL(TfmdDL):
    """fastai's `TfmdDL`, with threads for workers, and batches in channels_last.

    Decoding and warping leave Python's lock, so threads do what fastai's processes do, without
    starting them each epoch, copying batches between them, or pickling; also where fastai starts
    none (macOS, notebooks on Windows). A seed gives the same batches for any number of threads.
    """

    def __init__(
        self,
        dataset,
        *args,
        threads: int = 0,  # that make batches ahead of the training loop
        **kwargs,  # as of `TfmdDL`; `num_workers` are processes
    ):
        super().__init__(dataset, *args, **kwargs)
        self.threads = threads

    def new(self, dataset=None, cls=None, **kwargs):
        return super().new(dataset, cls, **{"threads": self.threads, **kwargs})

    def create_batches(self, samples):
        if self.prebatched or not self.indexed:
            yield from super().create_batches(samples)
            return
        seeded = ((indices, [random.getrandbits(64) for _ in indices])
                  for indices in self.chunkify(samples))  # fmt: skip
        if not self.threads:
            yield from starmap(self._made, seeded)
            return
        waiting: deque[Future] = deque()
        pool = ThreadPoolExecutor(self.threads)
        try:
            for work in seeded:
                waiting.append(pool.submit(self._made, *work))
                if len(waiting) > 2 * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _made(self, indices: Sequence[int], seeds: Sequence[int]):
        """A batch, its views drawn from the seeds."""
        items = []
        for index, seed in zip(indices, seeds, strict=True):
            _this_thread.rng = random.Random(seed)
            items.append(self.do_item(index))
        _this_thread.rng = random
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


class ScalePixels(Transform):
    """A batch of pixels to floats, full scale to 1; before fastai's own batch transforms."""

    order = 10

    def __init__(self, preprocess: Preprocess):
        super().__init__()
        self.preprocess = preprocess

    def encodes(self, x: ImageTensor):
        with _one_thread(x):
            return self.preprocess.scale_values(x)


class NormalisePixels(Transform):
    """A batch in 0..1 to mean 0 and standard deviation 1; after fastai's own batch transforms."""

    order = 99

    def __init__(self, preprocess: Preprocess):
        super().__init__()
        self.preprocess = preprocess

    def encodes(self, x: ImageTensor):
        with _one_thread(x):
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
        with _one_thread(x):
            return x.long()

    def decodes(self, x: MaskTensor):
        x.codec = self.codec
        return x


def PairImageBlock(
    reader: PairReader, augment: Augment | Albumentations | None = None
) -> TransformBlock:
    """The image of a `Pair`, for `DataBlock`; `augment` moves the mask too (None: defaults).

    >>> reader = PairReader(codec, preprocess)
    >>> DataBlock((PairImageBlock(reader), PairMaskBlock(reader)), get_items=find_pairs)
    """
    preprocess = reader.preprocess
    return TransformBlock(
        type_tfms=[LoadImage(reader)],
        item_tfms=[RandomView(preprocess, augment or Augment())],
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
        _refuse_errors(pairs, strict, classes, void, instances, progress)
        present = None
        if codec is None:
            survey = Survey.spread([pair.mask for pair in pairs], progress)
            present = {pair.mask: survey.present.get(pair.mask, frozenset()) for pair in pairs}
            codec = MaskCodec.from_survey(
                survey,
                classes if classes is not None else getattr(pairs, "classes", None),
                void if void is not None else getattr(pairs, "void", None) or None,
                instances,
                unknown,
            )
        if split is not None:
            parts = split(pairs) if callable(split) else load_split(pairs, split)
        elif fold is not None:
            parts = k_fold(pairs, fold[1], fold[0], seed, present=present, groups=groups)
        else:
            parts = split_pairs(pairs, valid_pct, seed, present=present, groups=groups)
        if preprocess is None:
            files = [pair.image_files for pair in parts["train"]]
            policy = "resize" if patch is None else "patch"
            preprocess = Preprocess.infer(
                files, size if patch is None else patch, channels, policy, scale, scaling,
                progress=progress,
            )  # fmt: skip

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
        augment = Augment.preset(augment) if isinstance(augment, str) else augment
        block = DataBlock(
            blocks=(PairImageBlock(reader, augment), PairMaskBlock(reader)),
            splitter=IndexSplitter(range(len(train), len(train) + len(valid))),
            batch_tfms=list(batch_tfms or []),
        )
        # path stays ".": a Learner writes its models there, never into the data folder
        if processes is None:  # the Python code of others would hold the lock of threads
            processes = isinstance(augment, Albumentations)
        workers = {"num_workers": num_workers, "threads": 0}
        if not processes:
            workers = {"num_workers": 0, "threads": num_workers}
        made = block.dataloaders([*train, *valid], bs=bs, device=device, **workers)
        dls = cls(*made.loaders, device=device)
        dls.pairs = parts
        return dls


def _refuse_errors(pairs, strict: bool, classes, void, instances: bool, progress: bool) -> None:
    """Raise for what the audit calls an error: by headers alone, or with `strict` by all it can."""
    if strict:
        report = audit(pairs, classes=classes, void=void, instances=instances, progress=progress)
    elif pairs:
        report = audit(pairs[:: -(-len(pairs) // _HEADERS)], quick=True, progress=False)
    else:
        raise SplitError("There are 0 pairs to train on; at least 2 are needed.")
    if report.ok:
        return
    found = " ".join(f"{finding.message} {finding.remedy}" for finding in report.errors)
    if strict:
        raise AuditError(f"strict=True, and the audit found {len(report.errors)} errors. {found}")
    kinds = {finding.code for finding in report.errors}
    raise (SizeMismatchError if kinds == {"size-mismatch"} else ImageReadError)(found)
