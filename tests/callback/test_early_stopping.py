"""A fit ends when the best epoch lies so far behind."""

import pytest
from fastai.callback.core import Callback
from fastai.torch_core import set_seed

from fastunet.callback.early_stopping import StopEarly
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


class GivenScores(Callback):
    """Puts given scores in the place of the Dice."""

    order = 55  # after the recorder, before the tracker

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def after_epoch(self):
        self.recorder.values[-1][2] = self.scores[self.epoch]


@pytest.fixture
def learn(write_pairs, in_tmp):
    set_seed(0)
    root = write_pairs(6, size=(32, 32))
    dls = ImageMaskDataLoaders.from_folder(root, size=16, bs=2, device="cpu")
    return segmentation_learner(dls, width=4, depth=2)


@pytest.mark.parametrize(
    ("scores", "patience", "epochs"),
    [
        ((0.1, 0.5, 0.4, 0.4, 0.9, 0.9), 2, 4),
        ((0.1, 0.5, 0.4, 0.6, 0.5, 0.5), 2, 6),
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 1, 6),
    ],
)
def test_it_waits_for_so_many_epochs(learn, capsys, scores, patience, epochs):
    learn.fit(6, 0.01, cbs=[GivenScores(scores), StopEarly(patience)])
    assert len(learn.recorder.values) == epochs
    assert ("Stopped early" in capsys.readouterr().out) == (epochs < 6)
    assert learn.keep_best.best_score == max(scores[:epochs])


def test_an_earlier_fit_does_not_count(learn):
    learn.fit(1, 0.01, cbs=GivenScores([0.9]))
    learn.fit(4, 0.01, cbs=[GivenScores([0.1, 0.2, 0.3, 0.4]), StopEarly(1)])
    assert len(learn.recorder.values) == 4


def test_a_fit_by_the_clock_ends_too(learn):
    learn.fit_minutes(1, 0.01, cbs=[GivenScores([0.5] * 10_000), StopEarly(3)])
    assert len(learn.recorder.values) == 4
