"""An image in, a class mask at the image's own size out."""

import os
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import torch
from torch import nn

from fastunet.errors import ImageReadError
from fastunet.inference.bundle import Bundle, check_threshold
from fastunet.inference.memory import check_memory
from fastunet.inference.sliding_window import blend_tiles
from fastunet.io.channel_files import ChannelFiles
from fastunet.io.images import as_stored, upright_from
from fastunet.io.sources import Source, is_several, turn_of
from fastunet.logits import activate, decide
from fastunet.masks.codec import MaskCodec
from fastunet.models.meta_device import build_on_meta, check_output, check_weights, with_weights
from fastunet.precision import Precision, autocast, choose_dtype
from fastunet.preprocess import Preprocess


class Segmenter:
    """A trained network with its preprocessing and its classes.

    >>> mask = Segmenter.load("cells").predict("photo.jpg")  # (H, W) uint8 class indices
    """

    def __init__(
        self,
        model: nn.Module,  # (B, C, H, W) images to (B, C', H, W) logits
        codec: MaskCodec,
        preprocess: Preprocess,
        device: str | torch.device | None = None,  # None: where the model is
        precision: Precision = "auto",
        threshold: float = 0.5,  # binary: foreground is what is more probable than this
    ):
        check_threshold(threshold)
        self.device = torch.device(device) if device else next(model.parameters()).device
        self.model, self.codec, self.preprocess = model.to(self.device), codec, preprocess
        self.dtype = choose_dtype(self.device, precision)
        self.threshold = threshold
        self.metrics: dict = {}

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,  # the folder that `save_bundle` wrote
        device: str | torch.device | None = None,  # None: CUDA where there is one, else the CPU
        model: nn.Module | None = None,  # for a network of your own: built as for training
        precision: Precision = "auto",
    ) -> "Segmenter":
        """Load a bundle; no pickle is opened and no code in it is run.

        Raises `BundleError` where it is missing, damaged, or its weights do not fit the network.
        """
        networks = [] if model is None else [model]

        def compare(described: Bundle) -> None:
            if model is None:  # once more where the bundle was replaced in between
                networks[:] = [build_on_meta(described.architecture, len(described.weights))]
            check_weights(networks[0], described.weights, path)
            if model is None:
                channels, size = described.preprocess.channels, described.preprocess.size
                check_output(networks[0], channels, described.codec.n_out, size, path)

        bundle = Bundle.load(path, compare)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        network = with_weights(networks[0], bundle.architecture, bundle.weights)
        network = network.to(memory_format=torch.channels_last)
        codec, preprocess = bundle.codec, bundle.preprocess
        segmenter = cls(network, codec, preprocess, device, precision, bundle.threshold)
        segmenter.metrics = bundle.metrics
        return segmenter

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of their index."""
        return self.codec.classes

    @torch.inference_mode()
    def probabilities(
        self,
        image: Source | None = None,  # a file, bytes, a PIL image, a tensor or an array
        *,
        channels: Sequence[str | os.PathLike] | None = None,  # instead: its files, to be stacked
    ) -> np.ndarray:  # (C, H, W) float32, C = 1 (the foreground's) for binary
        """Class probabilities at the image's own size, linear between the network's pixels.

        A network that was trained on patches goes over the image tile by tile; where tiles overlap
        their probabilities are blended. Raises `ImageReadError` where the image cannot be read,
        has other channels, or is too large for the memory that is free.
        """
        image = _one_image(image, channels)
        check_memory(image, self.preprocess, self.codec.n_out)
        turn = 1
        if self.preprocess.orientation == "stored":
            image = image.read() if hasattr(image, "read") else image
            turn = turn_of(image)
        pixels = as_stored(self.preprocess.prepare(image), turn)
        seen = self.preprocess.resize(pixels)
        training = self.model.training
        self.model.eval()
        try:
            if self.preprocess.sees_whole:
                scores = self._scores(seen[None])
            else:
                scores = blend_tiles(self._scores, seen, self.preprocess.size)
        finally:
            self.model.train(training)
        probabilities = self.preprocess.restore(scores, pixels.shape[:2])[0].cpu().numpy()
        upright = upright_from(np.moveaxis(probabilities, 0, -1), turn)
        return np.ascontiguousarray(np.moveaxis(upright, -1, 0))

    def _scores(
        self,
        pixels: np.ndarray,  # (B, H, W, C), prepared
    ) -> torch.Tensor:  # (B, C', H, W) probabilities
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).permute(0, 3, 1, 2)
        batch = self.preprocess.normalise(self.preprocess.scale_values(batch))
        with autocast(self.device, self.dtype):
            logits = self.model(batch.contiguous(memory_format=torch.channels_last))
        scores = activate(logits.as_subclass(torch.Tensor).float())
        # fastai's `unet_learner` makes a channel for each of two classes
        return scores[:, 1:] if self.codec.n_out == 1 and scores.shape[1] == 2 else scores

    def predict(
        self,
        image: Source | Iterable[Source] | None = None,  # one image in any form, or several
        *,
        channels: Sequence[str | os.PathLike] | None = None,  # instead: one image's files, stacked
    ) -> np.ndarray | list[np.ndarray]:  # (H, W) uint8 class indices; of several images a list
        """The class of each pixel, at the image's own size.

        >>> mask = segmenter.predict("photo.jpg")
        >>> first, second = segmenter.predict(["a.jpg", "b.jpg"])
        >>> mask = segmenter.predict(channels=["x_0000.tif", "x_0001.tif"])
        """
        if image is not None and channels is None and is_several(image):
            images = cast("Iterable[Source]", image)
            return [self.classify(self.probabilities(one)) for one in images]
        one = cast("Source | None", image)
        return self.classify(self.probabilities(one, channels=channels))

    def classify(
        self,
        probabilities: np.ndarray,  # (C, H, W), as `probabilities` gives them
    ) -> np.ndarray:  # (H, W) uint8 class indices
        """The class of each pixel: the most probable one; binary: by `threshold`."""
        scores = torch.from_numpy(probabilities)[None]
        return decide(scores, self.threshold)[0].numpy().astype(np.uint8)


def _one_image(image: Source | None, channels: Sequence[str | os.PathLike] | None) -> Source:
    if channels is None and image is not None:
        return image
    if channels is None or image is not None:
        raise ImageReadError("Give an image, or the files of its channels as channels=[...].")
    return ChannelFiles([channels] if isinstance(channels, str | os.PathLike) else channels)
