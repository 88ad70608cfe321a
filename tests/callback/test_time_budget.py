"""A one-cycle that fits a wall-clock budget."""

import time

import pytest
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.tracker import SaveModelCallback
from hypothesis import given
from hypothesis import strategies as st

from fastunet.callback.time_budget import Timing, measure, schedule, timed_epochs
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


@given(
    train=st.floats(0.001, 2),
    valid=st.floats(0.001, 2),
    seconds=st.floats(1, 3600),
    n=st.integers(1, 500),
    n_valid=st.integers(1, 100),
)
def test_a_schedule_fills_the_time_and_does_not_exceed_it(train, valid, seconds, n, n_valid):
    plan = schedule(Timing(train, valid), seconds, n, n_valid)
    assert plan.epochs >= 1
    assert 1 <= plan.batches <= n
    shortest = train + n_valid * valid
    if shortest < seconds / plan.epochs:
        assert plan.seconds <= seconds * (1 + 1e-9)
        one_more_batch_each = plan.seconds + plan.epochs * train
        assert one_more_batch_each > 0.99 * seconds or plan.batches == n
    else:
        assert plan.batches == 1


def test_timed_epochs_draw_from_all_images_and_have_batches_to_spare(write_pairs):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(20), size=16, bs=2, device="cpu")
    first, most = [], 0
    with timed_epochs(dls, 3):
        assert len(dls.train) == 3
        for _ in range(30):
            first.append(tuple(dls.train.get_idxs()[:6]))
        most = sum(1 for _ in dls.train)
    assert set().union(*first) == set(range(16))
    assert most > 2 * 3
    assert len(dls.train) == 8


class Slow(Callback):
    """A machine whose steps or validations suddenly take longer, and what the schedule does."""

    order = 65  # after the scheduler

    def __init__(self, step=0.0, validation=0.0, after=0):
        super().__init__()
        self.step, self.validation, self.after = step, validation, after

    def before_fit(self):
        self.places, self.rates, self.epochs = [], [], []

    def after_batch(self):
        if not self.training:
            return
        self.places.append(self.pct_train)
        self.rates.append(self.opt.hypers[-1]["lr"])
        if len(self.places) > self.after:
            time.sleep(self.step)

    def before_validate(self):
        if len(self.places) > self.after:
            time.sleep(self.validation)

    def after_epoch(self):
        self.epochs.append(len(self.places))


@pytest.fixture
def learn(write_pairs, in_tmp):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(24), size=16, bs=2, device="cpu")
    learn = segmentation_learner(dls, width=2, depth=1, save_best=False)
    return learn.remove_cb(ProgressCallback)


@pytest.mark.parametrize(
    "slow",
    [{}, {"step": 0.05}, {"step": 0.1, "after": 40}, {"validation": 0.4}],
    ids=["as measured", "slow steps", "slower later", "slow validation"],
)
def test_training_ends_with_the_time_and_its_schedule_with_it(learn, slow):
    measure(learn)  # the first use of all takes longer
    slow = Slow(**slow)
    start = time.perf_counter()
    plan = learn.fit_minutes(4 / 60, 1e-2, cbs=slow)
    assert time.perf_counter() - start == pytest.approx(4, rel=0.15)  # a machine that others use
    assert len(learn.recorder.values) == len(slow.epochs) <= plan.epochs
    assert all(len(row) == len(learn.recorder.values[0]) for row in learn.recorder.values)
    assert slow.places == sorted(slow.places)
    assert max(slow.rates) == pytest.approx(1e-2, rel=0.3)
    assert slow.rates[-1] < 1e-3  # annealed to the end
    assert len(learn.dls.train) == 9  # whole epochs again


@pytest.mark.parametrize("ends", [1.5, 4], ids=["earlier", "later"])
def test_an_end_that_moves_is_followed(learn, ends):
    measure(learn)
    start = time.perf_counter()
    slow = Slow(step=0.02)
    learn.fit_minutes(2.5 / 60, 1e-2, cbs=slow, until=lambda: start + ends)
    assert time.perf_counter() - start == pytest.approx(ends, rel=0.2)
    assert slow.rates[-1] < 2e-3
    assert len(learn.recorder.values) == len(slow.epochs)


def test_a_handful_of_batches_is_said_to_be_no_training(learn):
    with pytest.warns(UserWarning, match=r"Only about \d+ batches of 2 images .* no training"):
        learn.fit_minutes(0.05 / 60)
    assert len(learn.recorder.values) >= 1


def test_callbacks_that_judge_a_fit_do_not_see_the_measuring(learn):
    learn.save_best = True
    learn.add_cb(SaveModelCallback(fname="theirs"))
    before = list(learn.cbs)
    measure(learn)
    assert set(learn.cbs) == set(before)
    assert not (learn.path / learn.model_dir).exists()
    learn.fit_minutes(1 / 60, 1e-2)
    assert (learn.path / learn.model_dir / "theirs.pth").exists()
