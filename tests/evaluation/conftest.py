"""Masks and what a model makes of them, for the tests of the reports."""

import cv2
import numpy as np
import pytest

from fastunet.evaluation.bootstrap import Bootstrap
from fastunet.evaluation.scorer import Scorer
from fastunet.labels import VOID


def draw_masks(n: int = 6, classes: int = 2, noise: float = 0.1, size=(20, 24)):
    """`n` of (name, predicted, truth, probabilities): smooth shapes, the first row void."""
    for i in range(n):
        fields = np.random.default_rng(i).random((5, 5, classes), np.float32)
        fields = cv2.resize(fields, size[::-1])
        truth = fields.argmax(2).astype(np.uint8)
        truth[0] = VOID
        seen = fields + np.random.default_rng((i, 1)).normal(0, noise, fields.shape)
        odds = np.exp(8 * seen - (8 * seen).max(2, keepdims=True))
        probabilities = (odds / odds.sum(2, keepdims=True)).transpose(2, 0, 1).astype(np.float32)
        if classes == 2:
            probabilities = np.ascontiguousarray(probabilities[1:])
        yield f"{i:02d}.png", seen.argmax(2).astype(np.uint8), truth, probabilities


@pytest.fixture
def masks():
    """`draw_masks`."""
    return draw_masks


@pytest.fixture
def scored():
    """An `Evaluation` of drawn masks."""

    def make(
        n=6,
        classes=2,
        noise=0.1,
        groups=None,
        probabilities=True,
        boundary=False,
        order=None,
        resamples=200,
    ):
        names = ["background", "cell", "wall", "debris", "nucleus"][:classes]
        scorer = Scorer(names, boundary=boundary)
        drawn = list(draw_masks(n, classes, noise))
        for i in range(n) if order is None else order:
            *masks, probs = drawn[i]
            group = groups[i] if groups else ""
            scorer.add(*masks, probabilities=probs if probabilities else None, group=group)
        threshold = 0.5 if classes == 2 else None
        return scorer.result("test", threshold, Bootstrap(resamples))

    return make
