"""Logits and targets to try the losses on."""

import pytest
import torch

from fastunet.labels import VOID


@pytest.fixture(scope="session")
def batch():
    """Random logits (B, C, H, W) and class indices (B, H, W), a share of them void."""

    def make(channels, seed=0, void=0.2, b=3, h=9, w=7):
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(b, channels, h, w, generator=generator)
        target = torch.randint(0, max(2, channels), (b, h, w), generator=generator)
        target[torch.rand(b, h, w, generator=generator) < void] = VOID
        return logits, target

    return make
