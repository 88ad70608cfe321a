"""`lr_find` ends in time, and marks its suggestion in the picture."""

import time

import matplotlib.pyplot as plt
import pytest
from fastai.callback.core import Callback
from fastai.callback.schedule import SuggestionMethod

from fastunet.callback.rate_finder import plot_rates
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import TrainingError
from fastunet.learner import segmentation_learner


class Slow(Callback):
    """Each batch takes a while."""

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds, self.batches = seconds, 0

    def before_batch(self):
        time.sleep(self.seconds)
        self.batches += 1


@pytest.fixture
def learn(write_pairs, in_tmp):
    root = write_pairs(12, size=(32, 32))
    dls = ImageMaskDataLoaders.from_folder(root, size=16, bs=2, device="cpu")
    return segmentation_learner(dls, width=4, depth=2)


def test_it_takes_fewer_batches_where_more_would_take_too_long(learn):
    learn.add_cb(Slow(0.02))
    learn.lr_find(num_it=500, seconds=2, show_plot=False, stop_div=False)
    assert 20 <= len(learn.recorder.lrs) < 85  # 2 s are 100 batches at most, measuring included
    assert learn.recorder.lrs[-1] > 5  # the whole range is seen all the same


def test_it_says_where_there_is_no_time_for_it(learn):
    learn.add_cb(Slow(0.1))
    with pytest.raises(TrainingError, match=r"lr_find: \d+ batches fit into 1 s; 20 are the few"):
        learn.lr_find(seconds=1, show_plot=False)


def test_suggestions_are_marked_and_written_out(learn):
    methods = (SuggestionMethod.Valley, SuggestionMethod.Slide)
    found = learn.lr_find(num_it=40, suggest_funcs=methods)
    axis = plt.gca()
    marks = {line.get_label(): line for line in axis.lines if ":" in line.get_label()}
    assert set(marks) == {f"valley: {found.valley:.2g}", f"slide: {found.slide:.2g}"}
    assert marks[f"valley: {found.valley:.2g}"].get_xdata()[0] == pytest.approx(found.valley)
    plt.close()


def test_a_loss_that_explodes_does_not_flatten_the_curve():
    axis = plot_rates([1e-4, 1e-3, 1e-2, 1e-1], [1.0, 0.8, 0.5, 400.0], {"valley": 1e-3})
    assert axis.get_ylim()[1] < 3
    plt.close()


@pytest.mark.parametrize("fit", ["fit_one_cycle", "fit_minutes"])
def test_a_fit_asks_for_its_own_rate(learn, fit):
    asked = []
    lr_find = learn.lr_find
    learn.lr_find = lambda **how: asked.append(lr_find(**how)) or asked[-1]
    getattr(learn, fit)(1 if fit == "fit_one_cycle" else 0.08, "auto")
    assert max(learn.recorder.lrs) == pytest.approx(asked[0].valley, rel=0.2)
