"""Images predicted side by side, one on each core of a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from fastunet.inference.segmenter import Segmenter

_SMALL = 2**22  # values of an image, or of its probabilities, that several threads may hold


class SideBySide:
    """Predicts in several threads at once, each with one core.

    For an image of a network's input size all cores together wait for each other longer than they
    save: two cores predict a folder almost twice as fast so, and where other programs keep a core
    busy many times as fast. Large images, which fill all cores and much memory, are left to one
    thread, and so is everything on a GPU.
    """

    def __init__(self, segmenter: Segmenter):
        self.segmenter = segmenter
        self._threads = torch.get_num_threads()
        self._on_cpu = segmenter.device.type == "cpu"

    def takes(self, image: np.ndarray) -> bool:
        """Whether it may be predicted in any thread, else only in that of `predicting`."""
        pixels = image.shape[0] * image.shape[1]
        return self._on_cpu and max(image.size, pixels * self.segmenter.codec.n_out) <= _SMALL

    @contextmanager
    def predicting(self) -> Iterator[None]:
        """Within, threads may predict what it takes."""
        model = self.segmenter.model
        training = model.training
        model.eval()  # for all threads; each would set it back while another predicts
        if self._on_cpu:
            torch.set_num_threads(1)  # of this thread, and of those that begin now
        try:
            yield
        finally:
            torch.set_num_threads(self._threads)
            model.train(training)

    def alone(self, image: np.ndarray) -> np.ndarray:
        """Probabilities of an image that it does not take, by all cores."""
        torch.set_num_threads(self._threads)
        try:
            return self.segmenter.probabilities(image)
        finally:
            if self._on_cpu:
                torch.set_num_threads(1)
