"""The best model is kept."""

import math

import pytest
import torch
from fastai.callback.core import Callback

from fastunet.callback.checkpoint import SaveBestModel
from fastunet.data.block import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


class Scores(Callback):
    """Puts given scores in the place of the Dice, epoch by epoch, and marks the model with them."""

    order = 55  # after the recorder, before the tracker

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def after_epoch(self):
        self.recorder.values[-1][2] = self.scores[self.epoch]
        with torch.no_grad():
            self.model.head.bias.fill_(float(self.epoch))


@pytest.fixture
def learn(write_pairs, in_tmp):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(4), size=16, bs=2, device="cpu")
    return segmentation_learner(dls, width=2, depth=1)


@pytest.mark.parametrize(
    ("scores", "best"),
    [((0.1, 0.7, 0.3), 1), ((0.5, math.nan, 0.2), 0), ((math.nan, 0.0, math.nan), 1)],
)
def test_the_weights_of_the_best_epoch_are_loaded(learn, scores, best):
    keeper = SaveBestModel()
    learn.fit(3, cbs=[Scores(scores), keeper])
    assert learn.model.head.bias.item() == best
    assert keeper.best_epoch == best
    assert keeper.best_score == scores[best]
    assert [f.name for f in (learn.path / "models").iterdir()] == ["best.pth"]


def test_without_any_score_the_last_weights_stay(learn):
    keeper = SaveBestModel()
    learn.fit(2, cbs=[Scores((math.nan, math.nan)), keeper])
    assert learn.model.head.bias.item() == 1
    assert math.isnan(keeper.best_score)


def test_a_checkpoint_with_code_in_it_is_not_opened(learn):
    class Trap:
        def __reduce__(self):
            return (print, ("executed",))

    keeper = SaveBestModel()

    class Swap(Callback):
        order = 100

        def after_epoch(self):
            torch.save(Trap(), keeper.last_saved_path)

    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        learn.fit(1, cbs=[keeper, Swap()])
