"""All trials see the same data in the same way, and one that is behind is ended."""

import time

import pytest
from fastai.torch_core import set_seed

from fastunet import from_plan
from fastunet.data.augment import Augment
from fastunet.data.transforms import RandomView
from fastunet.errors import TrainingError
from fastunet.finish import score
from fastunet.plan import Plan
from fastunet.tuning.one_trial import (
    KeptFiles,
    OutOfTime,
    TrialData,
    own_size,
    spread,
    train_trial,
)

optuna = pytest.importorskip("optuna")

BASE = {"arch": "unet", "size": 32, "width": 2, "bs": 2, "device": "cpu", "epochs": 4}


@pytest.fixture
def plan(write_pairs, in_tmp):
    return Plan.of(data=write_pairs(10), **BASE)


@pytest.fixture
def data(plan):
    return TrialData(from_plan.look_at(plan, files=KeptFiles(100_000_000)))


def trained(plan, data, study, **how):
    common = dict(path=plan.files.data.parent, images=(2, 2), seconds=5, least=True)
    ends = time.perf_counter() + 60
    return train_trial(study.ask(), plan, data, **common | {"ends": ends} | how)


def test_files_are_decoded_once_and_a_size_has_one_set_of_loaders(plan, data):
    first = data.loaders(plan)
    held = data.understood.files.held
    assert held > 0
    for pair in first.pairs["train"]:
        pair.image.unlink()  # it is not read again
    again = data.loaders(plan.but(augment="free", lr=0.1))
    assert again is first
    [view] = [one for one in again.train.after_item if isinstance(one, RandomView)]
    assert view.augment == Augment.preset("free")
    assert data.understood.files.held == held


def test_a_trial_scores_what_its_network_scores_at_the_images_own_size(plan, data):
    study = optuna.create_study(direction="maximize")
    done = trained(plan, data, study)
    assert done.scores.images == 2
    assert done.learn.threshold == done.scores.threshold
    scores = score(done.learn)["valid"]
    assert (
        scores.dice == done.scores.dice == own_size(done.learn, done.learn.dls.pairs["valid"]).dice
    )
    assert (done.plan.fit.epochs, done.plan.model.width) == (4, 2)


def test_a_trial_that_is_behind_is_ended_after_a_quarter(plan, data):
    study = optuna.create_study(
        direction="maximize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=2),
    )
    for _ in range(2):  # two that are perfect
        other = study.ask()
        other.report(1.0, 2)
        assert not other.should_prune()
        study.tell(other, 1.0)
    done = trained(plan, data, study)
    assert done.scores is None
    assert len(done.learn.recorder.values) == 1  # of four epochs


def test_one_that_would_not_end_in_time_or_is_too_slow_is_told_apart(plan, data):
    study = optuna.create_study(direction="maximize")
    with pytest.raises(OutOfTime):
        trained(plan, data, study, least=False, ends=time.perf_counter())
    by_time = Plan.of(
        **{"data": plan.files.data} | {k: v for k, v in BASE.items() if k != "epochs"}
    )
    with pytest.raises(TrainingError, match="It is too slow"):
        trained(by_time, data, study, least=False, seconds=0.001)


def test_examples_are_spread_over_the_list():
    set_seed(0)
    assert spread([*range(10)], 4) == [0, 2, 5, 7]
    assert spread([1, 2], 5) == [1, 2]
