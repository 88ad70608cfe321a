"""Views begin small and end at full size; validation sees the full size throughout."""

import pytest
import torch
from fastai.callback.core import Callback

import fastunet
from fastunet import GrowingSize, ImageMaskDataLoaders, segmentation_learner, training
from fastunet.inference.bundle import Bundle
from fastunet.runs.run_folder import RunFolder


class Seen(Callback):
    def before_fit(self):
        self.train, self.valid = [], []

    def before_batch(self):
        (self.train if self.training else self.valid).append(tuple(self.x.shape[-2:]))


def learner(root, *cbs, size=128, patch=None):
    sees = {"size": size} if patch is None else {"patch": patch}
    dls = ImageMaskDataLoaders.from_folder(root, bs=4, device="cpu", progress=False, **sees)
    return segmentation_learner(dls, width=2, save_best=False, cbs=cbs)


def test_views_grow_to_the_full_size_and_validation_has_it_throughout(write_pairs):
    seen = Seen()
    learn = learner(write_pairs(10, size=(140, 140)), GrowingSize(0.5), seen)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(5, 1e-3)
    sides = [height for height, _ in seen.train]
    assert sides[0] == 64
    assert sides == sorted(sides)
    assert {*sides} == {64, 96, 128}
    assert {*seen.valid} == {(128, 128)}
    assert learn.dls.one_batch()[0].shape[-2:] == (128, 128)  # as before, when the fit has ended


def test_patches_and_the_look_for_a_rate_keep_their_size(write_pairs):
    root = write_pairs(10, size=(140, 140))
    seen = Seen()
    learn = learner(root, GrowingSize(0.5), seen, patch=64)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2, 1e-3)
    assert {*seen.train} == {(64, 64)}
    learn = learner(root, GrowingSize(0.5), seen)
    learn.lr_find(num_it=30, show_plot=False)
    assert {*seen.train} == {(128, 128)}


@pytest.mark.slow
def test_a_run_by_the_clock_is_repeated_bit_for_bit(write_pairs, in_tmp):
    root = write_pairs(10, size=(140, 140))
    options = {"size": 96, "bs": 2, "arch": "unet", "width": 2, "device": "cpu", "grow_from": 0.5}
    first = fastunet.train(root, out="a", minutes=0.15, **options)
    assert first.plan.clock is not None
    assert len(first.plan.clock.steps) > 1
    with RunFolder.claim("b") as folder:
        training.train(first.plan, folder)
    weights = [Bundle.load(name).weights for name in "ab"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
