"""The table and the picture of a search."""

import math
from pathlib import Path

import pandas as pd

from fastunet.plan import Plan
from fastunet.tuning.tuned import TrialRow, Tuned

DEFAULT = {"lr": 0.003, "loss": "combined"}


def row(number, state, score, note="", **values) -> TrialRow:
    return TrialRow(number, state, score, score - 0.1, score + 0.1, 9.0, 3, DEFAULT | values, note)


ROWS = [
    row(0, "finished", 0.7),
    row(1, "pruned", 0.9, lr=0.01),  # by fewer images, and half trained: no winner
    row(2, "failed", math.nan, "no memory", loss="dice"),
    row(3, "finished", 0.8, lr=0.02, loss="ce"),
    row(4, "finished", 0.8, lr=0.04),
]


def made(**how) -> Tuned:
    common = {"importance": {}, "scored": 30, "valid": 48, "test": 0}
    return Tuned(Path("t"), Plan.of(data="cells"), ROWS, DEFAULT, **common | how)


def test_the_best_finished_trial_stands_first_and_its_differences_are_told():
    found = made()
    assert found.best is ROWS[3]
    lines = str(found).splitlines()[1:6]
    assert [line.split()[0] for line in lines] == ["3", "4", "0", "1", "2"]
    assert "0.8000 [0.700, 0.900]" in lines[0]
    assert lines[0].endswith("lr 0.02, loss ce")
    assert lines[2].endswith("the default")
    assert "0.9000 pruned" in lines[3]
    assert "- failed" in lines[4]


def test_it_says_what_the_scores_are_worth():
    said = str(made(test=7, importance={"lr": 0.8, "loss": 0.2}))
    assert "30 of the 48 validation images" in said
    assert "the best of 5 trials was chosen" in said
    assert "they are too good" in said
    assert "The 7 test images were not looked at" in said
    assert "What mattered: lr 80%, loss 20%." in said
    assert "test image" not in str(made())


def test_the_table_has_a_row_for_each_trial_and_the_picture_a_panel_for_each_option():
    frame = made().to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["number"]) == [0, 1, 2, 3, 4]
    assert list(frame["loss"]) == ["combined", "combined", "dice", "ce", "combined"]
    assert frame["note"][2] == "no memory"
    figure = made().plot()
    titles = [axis.get_title() for axis in figure.axes if axis.axison]
    assert titles == ["Trial by trial", "lr: best 0.02", "loss: best ce"]
    figure.clear()
