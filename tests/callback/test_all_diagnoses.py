"""Each diagnosis has a run that provokes it; a healthy run has none."""

import warnings

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.torch_core import set_seed
from torch import nn

from fastunet.callback.all_diagnoses import (
    DIAGNOSES,
    no_foreground,
    one_class_predicted,
    overfitting,
    rate_far_from_suggested,
)
from fastunet.callback.fit_record import FitRecord, GradientLook
from fastunet.callback.guard import Guard
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import FastunetWarning, TrainingError
from fastunet.learner import segmentation_learner


@pytest.fixture
def make(write_pairs, in_tmp):
    """A learner on ten small pictures of discs."""

    def make(values=(0, 255), **options):
        set_seed(0)
        root = write_pairs(10, values=values, size=(32, 32))
        dls = ImageMaskDataLoaders.from_folder(root, size=32, bs=4, device="cpu", progress=False)
        options = {"width": 4, "depth": 2, "precision": "fp32", "save_best": False, **options}
        learn = segmentation_learner(dls, **options)
        learn.create_mbar = False
        learn.logger = lambda *_: None
        return learn

    return make


def names(learn):
    return [found.name for found in learn.guard.diagnoses]


def fitted(learn, epochs, rate, **options):
    with pytest.warns(FastunetWarning) as told:
        learn.fit(epochs, rate, **options)
    said = [str(one.message) for one in told]
    return learn, [one for one in said if one.startswith(tuple(names(learn)))]


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2)])
def test_a_healthy_training_has_none(make, values):
    learn = make(values, width=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FastunetWarning)
        learn.lr_find(num_it=30, show_plot=False)
        learn.fit_one_cycle(12, 1e-2)
    assert names(learn) == []
    assert learn.guard.record.has_foreground
    assert learn.guard.record.scores[-1]["dice"] > 0.5


def test_gradients_that_explode(make):
    learn, said = fitted(make(norm="none"), 3, 1.0)
    assert "exploding-gradients" in names(learn)
    found = learn.guard.diagnoses[names(learn).index("exploding-gradients")]
    assert found.evidence["norm"] > 100 * found.evidence["first_norm"]
    assert "lr=0.1" in found.advice
    assert len(said) == len(set(said)) == len(names(learn))  # each is told once


def test_predictions_of_one_class(make):
    learn = make()
    with torch.no_grad():
        list(learn.model.parameters())[-1].fill_(-20.0)
    learn, _ = fitted(learn, 3, 1e-4)
    assert names(learn) == ["one-class-predicted"]
    found = learn.guard.diagnoses[0]
    assert found.evidence["predicted_share"] == 1
    assert found.evidence["true_share"] < 1
    assert "background" in found.message


def test_predictions_are_counted_where_no_metric_does_so(make):
    learn = make(metrics=[])
    with torch.no_grad():
        list(learn.model.parameters())[-1].fill_(-20.0)
    learn, _ = fitted(learn, 3, 1e-4)
    assert names(learn) == ["one-class-predicted"]


def test_training_masks_without_foreground(make):
    class Empty(Callback):
        order = -5

        def before_batch(self):
            if self.training:
                self.learn.yb = (torch.where(self.y == 255, self.y, 0),)

    learn, _ = fitted(make(), 1, 1e-3, cbs=Empty())
    assert names(learn) == ["no-foreground"]
    assert "the 8 training masks" in learn.guard.diagnoses[0].message


def test_a_rate_far_from_that_of_lr_find(make):
    learn = make()
    suggested = learn.lr_find(num_it=40, show_plot=False).valley
    assert learn.guard.suggested_rate == pytest.approx(suggested)
    assert names(learn) == []
    learn, said = fitted(learn, 1, 20 * suggested)
    assert names(learn) == ["rate-far-from-suggested"]
    assert f"lr={suggested:.2g}" in said[0]
    learn.fit(1, 1e-7)  # the suggestion was for the weights before
    assert "rate-far-from-suggested" not in names(learn)


def test_scores_that_never_move(make):
    learn = make()
    for module in learn.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
    with torch.no_grad():
        list(learn.model.parameters())[-1].zero_()
    learn, _ = fitted(learn, 3, 1e-12)
    assert names(learn) == ["scores-never-move"]
    assert "higher learning rate" in learn.guard.diagnoses[0].advice


def test_a_loss_that_is_not_finite_is_kept_as_a_diagnosis(make):
    class Spoil(Callback):
        order = 20

        def after_pred(self):
            self.learn.pred = self.pred * np.nan

    learn = make()
    with pytest.raises(TrainingError) as error:
        learn.fit(1, 1e-3, cbs=Spoil())
    assert names(learn) == ["not-finite"]
    found = learn.guard.diagnoses[0]
    assert str(error.value).startswith(f"{found.message} {found.advice}")
    low, high = found.evidence["images"]
    assert low < 0 < high
    assert found.evidence["logits"] == []


# --- by their numbers -----------------------------------------------------------------------------


def record(train, valid, dice, **others) -> FitRecord:
    scores = [
        {"train_loss": t, "valid_loss": v, "dice": d}
        for t, v, d in zip(train, valid, dice, strict=True)
    ]
    options = {"classes": ("background", "cell"), "monitor": "dice", "rate": 1e-3, **others}
    return FitRecord(epochs=len(scores), scores=scores, ended=True, **options)


FALLING = [1.0 - 0.08 * epoch for epoch in range(10)]
RISING = [0.8, 0.6, 0.5, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8]
LEVEL = [0.1, 0.4, 0.6, 0.7, 0.7, 0.71, 0.7, 0.7, 0.69, 0.7]


def test_overfitting_is_a_validation_loss_that_rises_while_that_of_training_falls():
    found = overfitting(record(FALLING, RISING, LEVEL))
    assert found.name == "overfitting"
    assert found.evidence["valid_loss_now"] == pytest.approx(0.75)
    assert found.evidence["epoch"] == 2  # counted from 0, as fastai does


@pytest.mark.parametrize(
    ("train", "valid", "dice"),
    [
        (FALLING, FALLING, LEVEL),  # both fall
        (RISING, RISING, LEVEL),  # both rise
        ([2 + loss for loss in FALLING], RISING, LEVEL),  # it stays below that of training
        (FALLING, RISING, [0.07 * epoch for epoch in range(10)]),  # the score becomes better
        (FALLING, [*FALLING[:9], 5.0], LEVEL),  # one bad epoch
        (FALLING[:7], RISING[:7], LEVEL[:7]),  # too few epochs
    ],
)
def test_what_is_not_overfitting(train, valid, dice):
    assert overfitting(record(train, valid, dice)) is None


def test_overfitting_is_told_before_the_end_only_when_it_is_late():
    fit = record(FALLING, RISING, LEVEL)
    fit.ended, fit.epochs = False, 40
    assert overfitting(fit) is None
    fit.epochs = 12
    assert overfitting(fit) is not None


@pytest.mark.parametrize(
    ("rate", "suggested", "told"),
    [(1e-2, 1.1e-3, False), (1e-2, 0.9e-3, True), (1e-4, 2.9e-3, False), (1e-5, 1e-3, True)],
)
def test_a_rate_is_far_from_ten_times_above_and_thirty_below(rate, suggested, told):
    fit = FitRecord(1, ("background", "cell"), rate=rate, suggested_rate=suggested)
    assert bool(rate_far_from_suggested(fit)) is told


def test_perfect_scores_and_a_large_gradient_are_no_illness():
    fit = record(FALLING, FALLING, [1.0] * 10, images=8, training_images=8, has_foreground=True)
    fit.gradients = [GradientLook(0, 1e-3, 0.5), GradientLook(1, 2.0, 0.6)]
    assert [find(fit) for find in DIAGNOSES] == [None] * len(DIAGNOSES)


@pytest.mark.parametrize(
    ("batches", "ended", "told"), [(40, False, False), (200, False, True), (40, True, True)]
)
def test_a_slow_beginning_is_no_collapse(batches, ended, told):
    level = [1.2] * 4
    fit = record(level, level, [0.0] * 4, has_foreground=True, batches=batches)
    fit.epochs, fit.ended = 8, ended
    fit.confusion, fit.one_class = np.array([[90, 0], [10, 0]]), 4
    assert bool(one_class_predicted(fit)) is told
    fit.scores[-1]["valid_loss"] = 1.1  # it is still learning
    assert one_class_predicted(fit) is None


def test_the_weights_are_the_same_bit_for_bit_without_the_guard(make):
    states = []
    for guarded in (True, False):
        learn = make()
        if not guarded:
            learn.remove_cb(Guard)
        set_seed(1)
        learn.dls.train.rng.seed(1)
        learn.fit_one_cycle(3, 1e-2)
        states.append(learn.model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_loaders_that_do_not_tell_their_length_are_judged_at_the_end_of_the_fit():
    fit = FitRecord(epochs=4, classes=("background", "cell"), images=8)
    assert no_foreground(fit) is None
    fit.ended = True
    assert no_foreground(fit).name == "no-foreground"


def test_batches_from_memory_without_a_data_set_train(make):
    learn = make(width=8)
    batch = learn.dls.train.one_batch()
    learn.dls = DataLoaders([batch] * 3, [batch], device="cpu")
    learn.fit(1, 1e-3)
    assert "no-foreground" not in names(learn)
