"""The best model is kept."""

import math

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import CSVLogger
from fastai.callback.tracker import SaveModelCallback

from fastunet.callback.best_model import SaveBestModel
from fastunet.callback.guard import Guard
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import TrainingError
from fastunet.learner import segmentation_learner


class GivenScores(Callback):
    """Puts given scores in the place of the Dice, epoch by epoch, and marks the model with them."""

    order = 55  # after the recorder, before the tracker

    def __init__(self, scores, place=2):
        super().__init__()
        self.scores, self.place = scores, place

    def after_epoch(self):
        if self.recorder.values[-1]:
            self.recorder.values[-1][self.place] = self.scores[self.epoch]
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
    learn.fit(3, cbs=[GivenScores(scores), keeper])
    assert learn.model.head.bias.item() == best
    assert keeper.best_epoch == best
    assert keeper.best_score == keeper.scores["dice"] == scores[best]
    assert list(keeper.scores)[:3] == ["train_loss", "valid_loss", "dice"]
    assert [f.name for f in (learn.path / "models").iterdir()] == ["best.pth"]


def test_without_any_score_the_last_weights_stay(learn):
    keeper = SaveBestModel()
    with pytest.warns(UserWarning, match="dice was no number"):
        learn.fit(2, cbs=[GivenScores((math.nan, math.nan)), keeper])
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


@pytest.mark.parametrize("place", [0, 1], ids=["train_loss", "valid_loss"])
def test_an_epoch_whose_loss_is_not_finite_is_never_the_best(learn, place):
    keeper = SaveBestModel()
    spoil = GivenScores((math.inf, 1.0, math.nan), place)
    spoil.order = 56
    learn.fit(3, cbs=[GivenScores((0.9, 0.2, 0.8)), spoil, keeper])
    assert keeper.best_epoch == 1


def test_an_epoch_whose_weights_are_not_finite_is_never_the_best(learn):
    class Spoil(Callback):
        def after_epoch(self):
            if self.epoch == 1:
                self.model.unused.fill_(math.nan)

    learn.remove_cb(Guard)
    learn.model.register_buffer("unused", torch.zeros(1))
    keeper = SaveBestModel()
    learn.fit(2, cbs=[GivenScores((0.2, 0.9)), Spoil(), keeper])
    assert keeper.best_epoch == 0


@pytest.mark.parametrize("start", [1, 2])
def test_a_schedule_that_starts_later_keeps_the_best_of_its_epochs(learn, start):
    keeper = SaveBestModel()
    learn.fit_one_cycle(
        3, 1e-3, start_epoch=start, cbs=[GivenScores((0.9, 0.7, 0.3)), CSVLogger(), keeper]
    )
    assert keeper.best_epoch == start
    assert len(learn.recorder.losses) == (3 - start) * len(learn.dls.train)
    learn.fit_one_cycle(3, 1e-3, start_epoch=start)


@pytest.mark.parametrize(
    ("higher_is_better", "name", "best"),
    [
        (True, "score_loss", 1),
        (False, "score", 0),
        (None, "score", 1),
        (None, "error_rate", 0),
        (None, "hausdorff95", 0),
        (None, "some_loss", 0),
    ],
)
def test_the_metric_or_else_its_name_says_what_is_better(learn, higher_is_better, name, best):
    metric = learn.metrics[0]
    metric.higher_is_better = higher_is_better
    type(metric).name, old = name, type(metric).name
    try:
        keeper = SaveBestModel(name)
        learn.fit(2, cbs=[GivenScores((0.2, 0.6)), keeper])
    finally:
        type(metric).name = old
    assert keeper.best_epoch == best


def test_the_direction_and_a_least_gain_can_be_said(learn):
    keeper = SaveBestModel("dice", comp=np.less, min_delta=0.1)
    learn.fit(3, cbs=[GivenScores((0.5, 0.45, 0.3)), keeper])
    assert keeper.best_epoch == 2
    keeper = SaveBestModel("dice", min_delta=0.1)
    learn.fit(3, cbs=[GivenScores((0.5, 0.55, 0.3)), keeper])
    assert keeper.best_epoch == 0


def test_a_value_that_is_not_recorded_is_refused_with_those_that_are(learn):
    message = r"monitor='dise' .*: train_loss, valid_loss, dice, mean_iou, .*dice_loss\.$"
    with pytest.raises(TrainingError, match="^" + message):
        learn.fit(1, cbs=SaveBestModel("dise"))


def test_a_value_that_never_moves_is_said(learn):
    with pytest.warns(UserWarning, match=r"dice was 0\.5 in all 3 epochs: .*valid_loss"):
        learn.fit(3, cbs=[GivenScores((0.5, 0.5, 0.5)), SaveBestModel()])


def test_validation_and_lr_find_keep_nothing(learn):
    keeper = SaveBestModel()
    learn.add_cb(keeper)
    learn.fit(2, cbs=GivenScores((0.7, 0.3)))
    weights = learn.model.head.bias.item()
    learn.validate()
    learn.get_preds()
    learn.lr_find(num_it=6, show_plot=False)
    assert (keeper.best_epoch, keeper.best_score) == (0, 0.7)
    assert learn.model.head.bias.item() == weights


def test_with_metrics_of_both_parts_the_validation_decides(learn):
    learn.recorder.train_metrics = True
    keeper = SaveBestModel()
    learn.metrics = learn.metrics[:1]
    learn.fit(1, cbs=keeper)
    assert list(keeper.scores) == ["train_loss", "train_dice", "valid_loss", "valid_dice"]
    assert keeper.best_epoch == 0


# --- the one that every learner has ---------------------------------------------------------------


def best_files(learn) -> list[str]:
    folder = learn.path / learn.model_dir
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def test_a_learner_keeps_the_best_epoch_of_each_fit_anew(learn):
    learn.fit(3, cbs=GivenScores((0.1, 0.7, 0.3)))
    assert learn.model.head.bias.item() == learn.keep_best.best_epoch == 1
    learn.fit(2, cbs=GivenScores((0.2, 0.1)))  # worse than the fit before, and yet its best
    assert learn.model.head.bias.item() == learn.keep_best.best_epoch == 0
    learn.fit(2, cbs=GivenScores((0.2, 0.4)), reset_opt=True)
    assert learn.keep_best.best_epoch == 1


@pytest.mark.parametrize(
    "make",
    [SaveModelCallback, lambda: SaveBestModel("valid_loss", fname="model")],
    ids=["fastai's", "ours"],
)
@pytest.mark.parametrize("where", ["learner", "fit"])
def test_it_yields_to_another_that_the_user_has(learn, make, where):
    learn.fit(1)
    (learn.path / learn.model_dir / "best.pth").unlink()
    if where == "learner":
        learn.add_cb(make())
    learn.fit(2, cbs=make() if where == "fit" else None)
    assert best_files(learn) == ["model.pth"]
    if where == "fit":
        learn.fit(1)
        assert best_files(learn) == ["best.pth", "model.pth"]


def test_what_the_learner_says_when_a_fit_begins_counts(learn):
    learn.monitor = "valid_loss"
    learn.fit(2, cbs=GivenScores((0.9, 0.1), place=1))
    assert learn.keep_best.best_epoch == 1
    learn.save_best = False
    learn.fit(2, cbs=GivenScores((0.1, 0.9), place=1))
    assert learn.model.head.bias.item() == 1  # that of the last epoch


def test_an_interrupted_fit_leaves_the_weights_and_the_next_one_is_kept(learn):
    class Interrupt(Callback):
        def before_train(self):
            if self.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn.fit(3, cbs=[GivenScores((0.9, 0.1, 0.1)), Interrupt()])
    assert learn.model.head.bias.item() != 0
    with pytest.raises(KeyboardInterrupt):
        learn.fit(3, cbs=[SaveModelCallback(fname="theirs"), Interrupt()])
    learn.fit(2, cbs=GivenScores((0.2, 0.1)))
    assert learn.model.head.bias.item() == learn.keep_best.best_epoch == 0
