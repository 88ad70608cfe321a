"""The average of the weights is validated and kept; the training goes on with the weights."""

import pytest
import torch
from fastai.callback.core import Callback
from fastai.torch_core import set_seed

from fastunet.callback.ema import EMA
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


@pytest.fixture
def make(write_pairs, in_tmp):
    root = write_pairs(10, size=(32, 32))

    def make(**options):
        set_seed(0)
        dls = ImageMaskDataLoaders.from_folder(root, size=16, bs=2, device="cpu")
        return segmentation_learner(dls, width=4, depth=2, **options)

    return make


class Seen(Callback):
    """The first weight after each step, and where it is validated."""

    def __init__(self):
        super().__init__()
        self.trained, self.validated = [], []

    def _weight(self):
        return next(self.model.parameters()).detach().clone()

    def after_step(self):
        self.trained.append(self._weight())

    def after_pred(self):
        if not self.training:
            self.validated.append(self._weight())


def test_it_validates_and_ends_with_the_average(make):
    learn, seen = make(save_best=False), Seen()
    start = next(learn.model.parameters()).detach().clone()
    learn.fit(3, 0.01, cbs=[seen, EMA(0.9)])
    average, at = start, {}
    for n, weight in enumerate(seen.trained, 1):
        decay = min(0.9, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * weight
        at[n] = average
    an_epoch = len(seen.trained) // 3
    for epoch, validated in enumerate(seen.validated, 1):
        torch.testing.assert_close(validated, at[epoch * an_epoch], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(next(learn.model.parameters()).detach(), average)


def test_the_training_is_that_without_it(make):
    plain, learn = make(save_best=False), make(save_best=False)
    without, seen = Seen(), Seen()
    plain.fit(2, 0.01, cbs=without)
    learn.fit(2, 0.01, cbs=[seen, EMA()])
    for one, other in zip(without.trained, seen.trained, strict=True):
        assert torch.equal(one, other)


def test_the_best_epoch_is_that_of_the_average(make):
    learn, seen = make(), Seen()
    learn.fit(3, 0.01, cbs=[seen, EMA(0.9)])
    best = seen.validated[learn.keep_best.best_epoch]
    assert torch.equal(next(learn.model.parameters()), best)
    assert float(learn.validate()[1]) == pytest.approx(learn.keep_best.best_score)


def test_statistics_are_averaged_too(make):
    learn = make(save_best=False)
    learn.fit(1, 0.01)
    raw = {n: b.clone() for n, b in learn.model.named_buffers() if n.endswith("running_mean")}
    learn = make(save_best=False)
    learn.fit(1, 0.01, cbs=EMA(0.999))
    averaged = dict(learn.model.named_buffers())
    assert any(not torch.allclose(averaged[n], raw[n]) for n in raw)


def test_lr_find_and_validation_leave_it_alone(make):
    learn = make()
    learn.add_cb(EMA())
    before = [p.clone() for p in learn.model.parameters()]
    learn.lr_find(num_it=20, show_plot=False)
    learn.validate()
    assert all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters(), strict=True))
