"""Images predicted side by side are predicted as alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from fastunet.inference import Segmenter
from fastunet.inference.side_by_side import SideBySide


@pytest.fixture
def segmenter(write_bundle):
    return Segmenter.load(write_bundle("b"))


def images(count=12, side=40):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (side + i, side, 3), np.uint8) for i in range(count)]


def test_threads_predict_what_one_alone_predicts(segmenter):
    alone = [segmenter.probabilities(image) for image in images()]
    side_by_side = SideBySide(segmenter)
    with side_by_side.predicting(), ThreadPoolExecutor(4) as pool:
        together = list(pool.map(segmenter.probabilities, images()))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_afterwards_the_network_and_its_threads_are_as_before(segmenter):
    segmenter.model.train()
    threads = torch.get_num_threads()
    side_by_side = SideBySide(segmenter)

    def stopped():
        with side_by_side.predicting():
            assert torch.get_num_threads() == 1
            assert not segmenter.model.training
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert torch.get_num_threads() == threads
    assert segmenter.model.training


def test_large_images_are_left_to_one_thread_with_all_cores(segmenter, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    side_by_side = SideBySide(segmenter)
    assert side_by_side.takes(np.zeros((1000, 1000, 3), np.uint8))
    large = np.zeros((2000, 2000, 3), np.uint8)
    assert not side_by_side.takes(large)
    seen = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    with side_by_side.predicting():
        side_by_side.alone(large[:40, :40])
    assert seen == [1, 3, 1, 3]
