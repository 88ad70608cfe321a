"""Trials before a training that leave its random numbers as they are."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastai.data.core import DataLoaders
from fastai.torch_core import get_random_states, set_random_states


@contextmanager
def same_random_numbers(dls: DataLoaders) -> Iterator[None]:
    """What is drawn within is drawn again afterwards: a trial leaves no trace in the training."""
    before = get_random_states()
    loaders = [(loader, loader.rng, loader.rng.getstate()) for loader in dls.loaders]
    try:
        yield
    finally:
        set_random_states(**before)
        for loader, rng, state in loaders:
            rng.setstate(state)
            loader.rng = rng  # every epoch has another
