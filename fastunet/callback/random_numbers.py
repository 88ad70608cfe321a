"""All random numbers of a training: noted, and set again."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from fastai.data.core import DataLoaders


def random_states(dls: DataLoaders) -> dict[str, Any]:
    """The states of all generators: Python's, numpy's, PyTorch's on each device, the loaders'."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "loaders": [loader.rng.getstate() for loader in _drawing(dls)],
    }


def set_random_states(
    dls: DataLoaders,
    states: dict[str, Any],  # as `random_states` gave them; lists in place of tuples will do
) -> None:
    """Draw again what was drawn after the states were noted."""
    random.setstate(_of_python(states["python"]))
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    torch.cuda.set_rng_state_all(states["cuda"][: torch.cuda.device_count()])
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])
    for loader, state in zip(_drawing(dls), states["loaders"], strict=True):
        loader.rng = random.Random()  # every epoch has another
        loader.rng.setstate(_of_python(state))


def _of_python(state: Any) -> tuple:
    version, numbers, gauss = state
    return version, tuple(numbers), gauss


def _drawing(dls: DataLoaders) -> list:
    """The loaders, and the whole ones that timed epochs draw from."""
    return [*dls.loaders, *(vars(one)["whole"] for one in dls.loaders if "whole" in vars(one))]


@contextmanager
def same_random_numbers(dls: DataLoaders) -> Iterator[None]:
    """What is drawn within is drawn again afterwards: a trial leaves no trace in the training."""
    before = random_states(dls)
    try:
        yield
    finally:
        set_random_states(dls, before)
