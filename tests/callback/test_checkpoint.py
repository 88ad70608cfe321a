"""A fit that is stopped goes on from its last checkpoint, and ends as if it had not been."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import MixUp
from fastai.callback.progress import CSVLogger
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.callback.training import GradientAccumulation
from fastai.optimizer import OptimWrapper
from fastai.torch_core import set_seed

from fastunet.callback.checkpoint import Checkpoint
from fastunet.callback.checkpoint_file import files_in, read
from fastunet.callback.clock import ClockRecord, fit_again
from fastunet.callback.early_stopping import StopEarly
from fastunet.callback.ema import EMA
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import OutputError, TrainingError
from fastunet.learner import segmentation_learner

EPOCHS, BATCHES = 3, 6


@pytest.fixture
def make(write_pairs, in_tmp):
    """Make a learner as a new process does, of 16 images for training: 6 batches an epoch."""
    root = write_pairs(16)
    Path("out").mkdir()

    def learner(arch="unet", num_workers=0, processes=None, **options):
        set_seed(3)
        dls = ImageMaskDataLoaders.from_folder(
            root, size=16, bs=2, device="cpu", num_workers=num_workers, processes=processes
        )
        size = {"width": 4, "depth": 2} if arch == "unet" else {}
        return segmentation_learner(dls, arch, path="out", **size, **options)

    return learner


class Killed(BaseException):
    """The end of the process."""


class Kill(Callback):
    """Ends the fit after so many batches, as if it were killed: nothing is put in order."""

    order = 2000

    def __init__(self, epoch: int, batch: int, training: bool = True):
        super().__init__()
        self.at = epoch, batch, training

    def after_batch(self):
        if (self.epoch, self.iter, self.training) == self.at:
            raise Killed


def history(learn) -> list:
    rows = Path("out/history.csv").read_text().splitlines()
    return [row.rpartition(",")[0] for row in rows]  # without the time


def result(learn) -> tuple:
    """All that a fit has made."""
    recorder = learn.recorder
    return (
        {name: value.clone() for name, value in learn.model.state_dict().items()},
        torch.stack(recorder.losses),
        np.array(recorder.lrs),
        [list(row) for row in recorder.values],
        list(recorder.iters),
        recorder.hps,
        torch.rand(2),
    )


def check_same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)


def check_resumed(make, callbacks, kill: Kill, minutes: float = 0, **options):
    """A fit that is killed and goes on ends as one that is not."""

    def fit(*more) -> tuple:
        learn = make(**options)
        learn.fit_one_cycle(EPOCHS, 1e-2, cbs=[CSVLogger(), *callbacks(), *more])
        return result(learn), history(learn)

    whole, rows = fit()
    with pytest.raises(Killed):
        fit(Checkpoint("c", minutes), kill)
    resumed, rows_again = fit(Checkpoint("c", minutes, resume=True))
    check_same(resumed, whole)
    assert rows_again == rows


@pytest.mark.parametrize(
    "kill",
    [Kill(0, 2), Kill(1, 0), Kill(1, 3), Kill(2, 5), Kill(1, 0, training=False)],
    ids=["first epoch", "a first batch", "mid-epoch", "the last batch", "validation"],
)
@pytest.mark.parametrize("minutes", [0, 10], ids=["each batch", "each epoch"])
def test_a_killed_fit_goes_on_bit_for_bit(make, kill, minutes):
    check_resumed(make, list, kill, minutes)


@pytest.mark.parametrize(
    "loading",
    [{"num_workers": 3}, {"num_workers": 2, "processes": True}],
    ids=["threads", "processes"],
)
def test_batches_that_workers_make_go_on_where_they_were(make, loading):
    check_resumed(make, list, Kill(1, 2), **loading)


class Dropout(Callback):
    """Draws PyTorch's random numbers in each batch."""

    def after_pred(self):
        self.learn.pred = torch.nn.functional.dropout(self.pred, 0.2, self.training)


@pytest.mark.parametrize(
    ("callbacks", "options"),
    [
        (lambda: [MixUp()], {}),
        (lambda: [Dropout()], {}),
        (lambda: [GradientAccumulation(6)], {}),
        (list, {"opt_func": partial(OptimWrapper, opt=torch.optim.AdamW)}),
        (list, {"arch": "test_resnet", "pretrained": False}),
        (list, {"precision": "fp16", "channels_last": False}),
    ],
    ids=["MixUp", "dropout", "accumulation", "AdamW of PyTorch", "an encoder", "float16"],
)
def test_what_changes_from_batch_to_batch_goes_on(make, callbacks, options):
    check_resumed(make, callbacks, Kill(1, 3), **options)


class GivenScores(Callback):
    """Puts given scores in the place of the Dice."""

    order = 55  # after the recorder, before the tracker
    scores = (0.7, 0.3, 0.2)

    def after_epoch(self):
        self.recorder.values[-1][2] = self.scores[self.epoch]


@pytest.mark.parametrize(
    "saver",
    [
        list,
        lambda: [SaveModelCallback("dice", fname="theirs")],
        lambda: [
            SaveModelCallback("dice", fname="theirs"),
            EarlyStoppingCallback("dice", patience=2),
        ],
    ],
    ids=["ours", "fastai's", "with early stopping"],
)
def test_the_best_model_from_before_the_end_is_loaded(make, saver):
    check_resumed(make, lambda: [GivenScores(), *saver()], Kill(1, 3))


@pytest.mark.parametrize(
    "kill",
    [Kill(1, 3), Kill(1, 0, training=False), Kill(2, 0)],
    ids=["mid-epoch", "validation", "a first batch"],
)
@pytest.mark.parametrize("minutes", [0, 10], ids=["each batch", "each epoch"])
def test_the_average_of_the_weights_goes_on(make, kill, minutes):
    check_resumed(make, lambda: [EMA(0.9)], kill, minutes)


@pytest.mark.parametrize(
    ("kill", "minutes"), [(Kill(1, 3), 0), (Kill(1, 5), 10)], ids=["each batch", "each epoch"]
)
def test_a_fit_that_stops_early_stops_there_again(make, kill, minutes):
    def early():
        given = GivenScores()
        given.scores = (0.9, 0.3, 0.2)
        return [given, StopEarly(2)]

    check_resumed(make, early, kill, minutes)


def test_a_best_model_that_the_last_checkpoint_does_not_know_is_taken_back(make):
    """Killed between a new best epoch and its checkpoint, and the next time it is not as good."""

    class KillAfterEpoch(Kill):
        order = 1001

        def after_epoch(self):
            if self.epoch == 1:
                raise Killed

    def fit(scores, *more):
        given = GivenScores()
        given.scores = scores
        learn = make()
        learn.fit(EPOCHS, 1e-2, cbs=[given, *more])
        return learn

    expected = fit((0.7, 0.3, 0.2))
    with pytest.raises(Killed):
        fit((0.7, 0.9, 0.2), Checkpoint("c"), KillAfterEpoch(9, 9))
    again = fit((0.7, 0.3, 0.2), Checkpoint("c", resume=True))
    check_same(again.model.state_dict(), expected.model.state_dict())


def test_of_two_fits_the_one_that_was_stopped_goes_on(make):
    def fit(*cbs):
        learn = make("test_resnet", pretrained=False)
        learn.fine_tune(2, 1e-2, freeze_epochs=1, cbs=cbs)
        return result(learn)

    whole = fit()

    class KillSecond(Kill):
        def after_batch(self):
            if self.n_epoch == 2:
                super().after_batch()

    with pytest.raises(Killed):
        fit(Checkpoint("c", 0), KillSecond(1, 2))
    check_same(fit(Checkpoint("c", 0, resume=True)), whole)
    check_same(fit(Checkpoint("c", 0, resume=True))[0], whole[0])  # all is done already


# --- signals --------------------------------------------------------------------------------------


class Signal(Kill):
    """Sends a signal to this process."""

    order = 5  # in the middle of a batch

    def after_batch(self):
        if (self.epoch, self.iter, self.training) == self.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("at", "place"),
    [((1, 2), "epoch-0001-batch-000003"), ((1, 0, False), "epoch-0001-batch-000006")],
    ids=["training", "validation"],
)
def test_a_signal_writes_a_checkpoint_before_it_ends_the_fit(make, at, place):
    learn = make()
    learn.fit_one_cycle(EPOCHS)
    whole = result(learn)
    with pytest.raises(KeyboardInterrupt):
        make().fit_one_cycle(EPOCHS, cbs=[Checkpoint("c"), Signal(*at)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert files_in(Path("c"))[-1].name == f"fit-0-{place}.ckpt"
    again = make()
    again.fit_one_cycle(EPOCHS, cbs=Checkpoint("c", resume=True))
    check_same(result(again), whole)


# --- the clock ------------------------------------------------------------------------------------


def test_a_fit_by_the_clock_goes_on_in_the_time_that_it_has_now(make):
    with pytest.raises(Killed):
        make().fit_minutes(6 / 60, 1e-2, cbs=[ClockRecord(), Checkpoint("c", 0), Kill(1, 2)])
    record, learn = ClockRecord(), make()
    checkpoint = Checkpoint("c", 0, resume=True)
    position = checkpoint.told_by(ClockRecord)["steps"][1][-1]
    start = time.perf_counter()
    schedule = learn.fit_minutes(2 / 60, 1e-2, cbs=[record, checkpoint])
    assert time.perf_counter() - start == pytest.approx(2, rel=0.3)
    places = [place for epoch in record.steps for place in epoch]
    assert places == sorted(places)
    assert position in record.steps[1]
    assert places[-1] > 850_000
    assert learn.recorder.lrs[-1] < 2e-3

    again = make()
    fit_again(again, record.clock(schedule.batches), 1e-2, [])
    check_same(again.model.state_dict(), learn.model.state_dict())


# --- what is refused, what is kept ----------------------------------------------------------------


def test_checkpoints_of_another_fit_are_refused(make):
    make().fit(1, cbs=Checkpoint("c"))
    with pytest.raises(OutputError, match="resume=True"):
        Checkpoint("c")
    with pytest.raises(TrainingError, match="epochs: 1 there, 2 here"):
        make().fit(2, cbs=Checkpoint("c", resume=True))
    with pytest.raises(TrainingError, match="weights: "):
        make("test_resnet", pretrained=False).fit(1, cbs=Checkpoint("c", resume=True))
    with pytest.raises(TrainingError, match="by the clock here"):
        make().fit_minutes(0.01, cbs=Checkpoint("c", resume=True))


def test_the_last_ones_are_kept_and_that_of_the_best_epoch(make):
    make().fit(3, cbs=[GivenScores(), Checkpoint("c", 0, keep=2)])
    names = [file.name for file in files_in(Path("c"))]
    assert names == [
        "fit-0-epoch-0001-batch-000000.ckpt",
        "fit-0-epoch-0002-batch-000006.ckpt",
        "fit-0-epoch-0003-batch-000000.ckpt",
    ]
    best = read(Path("c") / names[0])
    assert best["scores"]["dice"] == 0.7


class Remembers(Callback):
    remembered = ("seen",)

    def before_fit(self):
        self.seen = []

    def after_epoch(self):
        self.seen.append(self.epoch)


def test_a_callback_of_your_own_goes_on_with_what_it_remembers(make):
    with pytest.raises(Killed):
        make().fit(3, cbs=[Checkpoint("c"), Remembers(), Kill(2, 1)])
    remembers = Remembers()
    make().fit(3, cbs=[Checkpoint("c", resume=True), remembers])
    assert remembers.seen == [0, 1, 2]
