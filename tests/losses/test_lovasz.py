"""The Lovasz loss against segmentation_models_pytorch's and the Jaccard index itself."""

import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from fastunet.labels import VOID
from fastunet.losses import LovaszLoss

seeds = st.integers(0, 1000)
close = dict(rtol=1e-6, atol=1e-6)


@given(seeds, st.sampled_from([1, 4]), st.booleans(), st.sampled_from([0.0, 0.3]))
def test_it_is_smps(batch, seed, channels, per_image, void):
    logits, target = batch(channels, seed, void)
    mode = "binary" if channels == 1 else "multiclass"
    theirs = smp.LovaszLoss(mode, per_image=per_image, ignore_index=VOID)
    ours = LovaszLoss(per_image)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target), **close)


@given(seeds)
def test_at_certain_predictions_it_is_one_minus_the_jaccard_index(batch, seed):
    scores, target = batch(3, seed)
    predicted = scores.argmax(1)
    logits = 100.0 * F.one_hot(predicted, 3).movedim(-1, 1)
    keep = target != VOID
    expected = 1 - jaccard_score(target[keep], predicted[keep], average="macro")
    assert LovaszLoss()(logits, target).item() == pytest.approx(expected, abs=1e-6)


def test_a_step_is_exact_in_a_million_pixels():
    """Differences of indices near 1 would lose it: a step is then a few roundings of float32."""
    target = torch.zeros(1, 1024, 1024, dtype=torch.long)
    target[0, ::2] = 1
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 1, 1024, 1024, generator=generator)
    single, double = (LovaszLoss()(x, target).item() for x in (logits, logits.double()))
    assert single == pytest.approx(double, rel=1e-6)
    logits.requires_grad_()
    LovaszLoss()(logits, target).backward()
    errors = (1 - logits.detach() * (2 * target[:, None] - 1)).flatten().double()
    errors, order = errors.sort(descending=True)
    truth = target.flatten()[order].double()
    i = torch.arange(1, len(truth) + 1).double()
    index = i / (truth.sum() + (1 - truth).cumsum(0))
    steps = torch.diff(index, prepend=torch.zeros(1).double()) * (errors > 0)
    found = logits.grad.flatten()[order].abs().double()
    torch.testing.assert_close(found, steps, rtol=1e-4, atol=0)  # pixels that tie may swap
