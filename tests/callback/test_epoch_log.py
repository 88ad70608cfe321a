"""One line for each epoch, and a bar in a terminal."""

import re

import pytest
from fastai.callback.progress import ProgressCallback
from fastai.torch_core import set_seed

from fastunet.callback.epoch_log import EpochLog
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


@pytest.fixture
def learn(write_pairs, in_tmp):
    set_seed(0)
    dls = ImageMaskDataLoaders.from_folder(write_pairs(8), size=16, bs=2, device="cpu")
    learn = segmentation_learner(dls, width=2, depth=1, save_best=False)
    return learn.remove_cb(ProgressCallback).add_cb(EpochLog())


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("fastunet.callback.epoch_log.hide_bars", lambda: False)


def test_each_epoch_is_a_line_below_the_names_of_its_columns(learn, capsys):
    logger = learn.logger
    learn.fit(2)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == list(learn.recorder.metric_names)
    assert [row.split()[0] for row in rows] == ["0", "1"]
    assert {len(row) for row in rows} == {len(head)}  # aligned
    for row, values in zip(rows, learn.recorder.values, strict=True):
        assert row.split()[1:-1] == [f"{value:.4f}" for value in values]
    assert learn.logger is logger


def test_looking_for_a_rate_validating_and_predicting_print_no_lines(learn, capsys):
    learn.lr_find(num_it=8, show_plot=False)
    learn.validate()
    learn.get_preds()
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("terminal")
def test_the_bar_counts_batches(learn, capsys):
    learn.fit(2)
    assert re.search(r"Training: .*/6 ", capsys.readouterr().err)
    learn.lr_find(num_it=8, show_plot=False)
    assert re.search(r"lr_find: .*/8 ", capsys.readouterr().err)
    learn.validate()
    learn.get_preds()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("terminal")
def test_the_bar_of_a_fit_by_the_clock_counts_its_seconds_alone(learn, capsys):
    learn.fit_minutes(2 / 60)
    shown = capsys.readouterr().err
    assert re.search(r"Training: .*\d+/\d s", shown)
    assert "batch" not in shown  # measuring the first steps has no bar
