"""The best epoch of a fit as a bundle."""

import math

import pytest
import torch
from fastai.callback.core import Callback

from fastunet.callback.best_bundle import SaveBestBundle
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.inference.bundle import Bundle
from fastunet.learner import segmentation_learner

SCORES = (0.1, 0.7, 0.3)


class Marked(Callback):
    """Gives each epoch a Dice and marks the weights with its number; looks at what is on disk."""

    order = 55  # after the recorder, before the best epoch is kept

    def __init__(self, folder):
        super().__init__()
        self.folder, self.seen = folder, []

    def before_epoch(self):
        if (self.folder / "bundle.json").exists():
            bundle = Bundle.load(self.folder)
            self.seen.append((bundle.metrics["dice"], bundle.weights["head.bias"].item()))

    def after_epoch(self):
        self.recorder.values[-1][2] = SCORES[self.epoch]
        with torch.no_grad():
            self.model.head.bias.fill_(float(self.epoch))


@pytest.fixture
def learn(write_pairs, in_tmp):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(4), size=16, bs=2, device="cpu")
    return segmentation_learner(dls, width=2, depth=1)


def test_at_any_time_the_best_epoch_so_far_is_a_bundle_with_its_scores(learn, in_tmp):
    marked = Marked(in_tmp / "best")
    best = SaveBestBundle(in_tmp / "best", "dice", {"command": "x"})
    learn.fit(3, cbs=[marked, best])
    assert marked.seen == [(0.1, 0), (0.7, 1)]
    assert learn.model.head.bias.item() == best.best_epoch == 1  # loaded at the end
    bundle = Bundle.load(in_tmp / "best")
    assert (bundle.metrics["dice"], bundle.weights["head.bias"].item()) == (0.7, 1)
    assert bundle.metrics["valid_loss"] == pytest.approx(learn.recorder.values[1][1])
    assert bundle.training == {"command": "x", "epoch": 1, "epochs": 3}
    assert not (learn.path / learn.model_dir).exists()  # no checkpoint beside it


def test_a_score_that_is_no_number_does_not_spoil_the_json(learn, in_tmp):
    class NoIoU(Callback):
        order = 55

        def after_epoch(self):
            self.recorder.values[-1][3] = math.nan

    learn.fit(1, cbs=[NoIoU(), SaveBestBundle(in_tmp / "best", "valid_loss")])
    assert "NaN" not in (in_tmp / "best/bundle.json").read_text()
    assert Bundle.load(in_tmp / "best").metrics["mean_iou"] is None
