"""The batch size that trains fastest is measured, without a trace."""

import time

import pytest
import torch
from torch import nn

from fastunet.callback.batch_size import BatchSizes, measure_batch_sizes
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


class Slow(nn.Module):
    """A network with a fixed cost for each batch, and memory for so many images."""

    def __init__(self, seconds: float = 0.0, each: float = 0.0, most: int = 1000):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1)
        self.seconds, self.each, self.most, self.grows = seconds, each, most, True

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if self.training:
            time.sleep(self.seconds + self.each * len(x))
        return self.conv(x)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    import cv2
    import numpy as np

    root = tmp_path_factory.mktemp("data")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    rng = np.random.default_rng(0)
    for i in range(170):
        mask = (rng.random((16, 16)) > 0.5).astype(np.uint8) * 255
        cv2.imwrite(str(root / "images" / f"{i}.png"), rng.integers(0, 255, (16, 16, 3)))
        cv2.imwrite(str(root / "masks" / f"{i}.png"), mask)
    return root


def loaders(root, **options):
    return ImageMaskDataLoaders.from_folder(root, size=16, device="cpu", **options)


def test_larger_batches_are_taken_while_they_pay_and_an_epoch_has_eight(data):
    learn = segmentation_learner(loaders(data, bs=2), Slow(seconds=0.05), precision="fp32")
    found = learn.find_batch_size(20)
    assert list(found.rates) == [4, 8, 16]  # of 136 images
    assert found.chosen == 16
    assert {loader.bs for loader in learn.dls.loaders} == {16}
    assert "images a second" in str(found)


def test_where_they_do_not_pay_it_ends_with_the_smallest(data):
    learn = segmentation_learner(loaders(data, bs=2), Slow(each=0.1), precision="fp32")
    found = measure_batch_sizes(learn, 20)
    assert found.chosen == 4
    assert list(found.rates) == [4, 8]
    assert learn.dls.bs == 2


def test_what_memory_does_not_hold_is_said_and_not_chosen(data):
    learn = segmentation_learner(loaders(data), Slow(seconds=0.05, most=8), precision="fp32")
    found = measure_batch_sizes(learn, 20)
    assert (found.chosen, found.too_large) == (8, 16)
    assert str(found).endswith("16 need too much memory")
    assert learn.micro_batches.may_shrink
    assert learn.micro_batches.size is None


def test_it_ends_in_time(data):
    learn = segmentation_learner(loaders(data), Slow(seconds=0.2), precision="fp32")
    start = time.perf_counter()
    found = measure_batch_sizes(learn, 1)
    assert time.perf_counter() - start < 4
    assert 16 not in found.rates


def test_it_leaves_no_trace(data):
    learn = segmentation_learner(loaders(data), width=4, depth=2)
    learn.fit(1, 1e-3)
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    random, drawn = torch.get_rng_state(), learn.dls.train.rng.getstate()
    measure_batch_sizes(learn, 5)
    assert torch.equal(torch.get_rng_state(), random)
    assert learn.dls.train.rng.getstate() == drawn
    for name, value in learn.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_auto_is_found_when_the_learner_is_made(data, capsys):
    dls = loaders(data, bs="auto")
    learn = segmentation_learner(dls, Slow(seconds=0.05), precision="fp32")
    assert learn.dls.bs in (8, 16)
    assert capsys.readouterr().out.startswith(f"Batch size: {learn.dls.bs} images; measured")
    assert not learn.dls.measures_bs


def test_few_images_keep_the_usual_batch(write_pairs):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(8), size=16, device="cpu")
    learn = segmentation_learner(dls, width=4, depth=2)
    assert measure_batch_sizes(learn, 5) == BatchSizes(2)
