"""Predictions with void, absent classes and all, for the tests of the metrics."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from fastunet.labels import VOID


@st.composite
def drawn(draw):
    """How many classes, and (N, H, W) predicted and true class indices of images."""
    classes = draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from([(1, 1, 1), (1, 4, 5), (3, 2, 3), (6, 4, 5)]))
    present = rng.choice(classes, rng.integers(0, classes + 1), replace=False)
    target = rng.choice([*present, VOID], shape)
    predicted = rng.choice(rng.choice(classes, 2), shape)
    kind = draw(st.sampled_from(["any", "perfect", "inverted"]))
    if kind != "any":
        other = target if kind == "perfect" else (target + 1) % classes
        predicted = np.where(target == VOID, predicted, other)
    return classes, torch.from_numpy(predicted), torch.from_numpy(target)


@pytest.fixture(scope="session")
def predictions():
    """`drawn`, a hypothesis strategy."""
    return drawn()


@pytest.fixture(scope="session")
def as_logits():
    """Class indices to the logits of a network that predicts them: one channel for binary."""

    def logits(predicted, classes):
        if classes == 2:
            return (predicted[:, None].float() - 0.5) * 8
        return torch.nn.functional.one_hot(predicted, classes).movedim(-1, 1).float()

    return logits
