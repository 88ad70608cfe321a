"""What logits mean."""

import pytest
import torch

from fastunet.logits import activate, decide


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_probabilities_and_logits_decide_alike(channels):
    logits = torch.randn(2, channels, 5, 6, generator=torch.Generator().manual_seed(0))
    probs = activate(logits)
    total = probs.sum(dim=1) if channels > 1 else probs[:, 0] + activate(-logits)[:, 0]
    torch.testing.assert_close(total, torch.ones(2, 5, 6))
    expected = (logits[:, 0] > 0).long() if channels == 1 else logits.argmax(1)
    torch.testing.assert_close(decide(probs), expected)
    torch.testing.assert_close(decide(logits, threshold=0), expected)


def test_one_channel_is_foreground_above_the_threshold_and_not_at_it():
    probs = torch.tensor([0.25, 0.5, 0.75]).reshape(1, 1, 1, 3)
    assert decide(probs).tolist() == [[[0, 0, 1]]]
    assert decide(probs, threshold=0.25).tolist() == [[[0, 1, 1]]]
