"""A search by small trainings: what it leaves, what it promises, and that it survives a kill."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

import fastunet
from fastunet.errors import FastunetError, OptionError, OutputError, TrainingError
from fastunet.evaluation.evaluate import evaluate
from fastunet.inference import Segmenter
from fastunet.plan import Plan
from fastunet.tuning.search_space import default_of, first_guesses

pytest.importorskip("optuna")

SMALL = {"size": 32, "width": 4, "bs": 4, "device": "cpu", "threads": 1}


@pytest.fixture
def data(write_pairs, in_tmp):
    return write_pairs(10, size=(40, 48))


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_the_default_comes_first_and_the_best_is_a_plan_and_a_model(data, in_tmp, run):
    found = fastunet.tune(data, minutes=5, trials=4, epochs=2, **SMALL)
    assert found.folder == Path("runs/data-tune-1")
    assert {file.name for file in found.folder.iterdir()} == {
        *("tune.json", "study.db", "trials.csv", "tune.png", "plan.json", "best")
    }
    first, *others = found.trials
    assert first.values == {"lr": 0.003, "loss": "combined", "augment": "scene"}
    assert len(others) == 3
    assert found.best.score == max(row.score for row in found.trials if row.state == "finished")
    assert [row["dice"] for row in rows_of(found.folder)] == [str(r.score) for r in found.trials]
    assert cv2.imread(str(found.folder / "tune.png")).shape[2] == 3

    plan = Plan.load(found.folder / "plan.json")
    assert plan == found.plan
    assert {name: plan.options[name] for name in found.best.values} == found.best.values
    assert (plan.model.width, plan.fit.epochs, plan.input.size) == (4, 2, (32, 32))
    best = found.folder / "best"
    assert evaluate(best, data, n_boot=0).dice == pytest.approx(found.best.score, abs=1e-4)
    assert Segmenter.load(best).preprocess.size == (32, 32)
    assert run("train", "--plan", found.folder / "plan.json", "--out", "r")[0] == 0


def test_trials_that_are_repeated_score_the_same(data):
    scores = [
        fastunet.tune(data, minutes=5, trials=1, epochs=1, out=out, **SMALL).best.score
        for out in ("a", "b")
    ]
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_the_whole_command_ends_within_its_minutes(data, run):
    started = time.perf_counter()
    words = [f"--{name}={value}" for name, value in SMALL.items()]
    code, out, _ = run("tune", data, "--minutes", 0.3, *words)
    assert code == 0
    assert time.perf_counter() - started < 18 + 2
    assert "Search:  lr, loss, augment; a trial trains for" in out
    assert "Trial 0: the default: Dice" in out
    assert "they are too good" in out
    assert "fastunet train --plan runs/data-tune-1/plan.json" in out


def test_the_test_part_is_not_looked_at_and_the_table_says_so(tmp_path, write_pairs, in_tmp):
    for part, count in (("train", 8), ("val", 4), ("test", 3)):
        write_pairs(count, size=(40, 48), folder=f"data/{part}")
    found = fastunet.tune("data", minutes=5, trials=1, epochs=1, **SMALL)
    assert (found.valid, found.test) == (4, 3)
    assert "The 3 test images were not looked at" in str(found)
    bundle = json.loads((found.folder / "best" / "bundle.json").read_text())
    assert (bundle["metrics"]["split"], bundle["metrics"]["images"]) == ("valid", 4)


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on(data, in_tmp):
    words = [f"--{name}={value}" for name, value in SMALL.items()]
    command = [sys.executable, "-m", "fastunet", "tune"]
    asked = [*command, str(data), "--epochs=8", "--minutes=5", "--out=t", *words]
    process = subprocess.Popen(asked, stdout=subprocess.DEVNULL, env=os.environ)
    folder, ends = in_tmp / "t", time.monotonic() + 120
    while not (folder / "trials.csv").exists() and time.monotonic() < ends:
        time.sleep(0.02)
    time.sleep(0.3)  # in the next trial
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows_of(folder)
    assert before

    found = fastunet.tune(resume=folder, trials=len(before) + 1)
    after = rows_of(folder)
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1
    guesses = first_guesses(json.loads((folder / "tune.json").read_text())["space"])
    assert [row.values for row in found.trials] == guesses[: len(after)]  # none was left out


def test_a_trial_that_fails_is_noted_and_without_any_that_ends_the_reason_is_told(data):
    with pytest.raises(TrainingError, match=r"No trial could be finished: .*no_such_metric"):
        fastunet.tune(data, minutes=5, trials=2, epochs=1, monitor="no_such_metric", **SMALL)
    rows = rows_of(Path("runs/data-tune-1"))
    assert [row["state"] for row in rows] == ["failed", "failed"]
    assert "no_such_metric" in rows[0]["note"]


def test_what_contradicts_itself_is_refused(data, run):
    with pytest.raises(OptionError, match="there is nothing to try"):
        fastunet.tune(data, lr=0.01, loss="ce", augment="none", **SMALL)
    with pytest.raises(OptionError, match="one or the other"):
        fastunet.tune()
    with pytest.raises(OutputError, match="is not empty"):
        fastunet.tune(data, out=data, **SMALL)
    with pytest.raises(OutputError, match="holds no search"):
        fastunet.tune(resume=data)
    with pytest.raises(OptionError, match="did you mean"):
        fastunet.tune(data, width_=3)
    assert "DATA is missing" in run("tune")[2]
    assert "--resume goes on" in run("tune", data, "--resume", "x")[2]


def test_without_optuna_the_error_names_the_extra(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(FastunetError, match=r"fastunet\[tune\]"):
        fastunet.tune(data, **SMALL)
    assert not Path("runs").exists()


def test_first_guesses_change_one_thing_at_a_time():
    space = {"size": [128, 192], "lr": [1e-3, 1e-4, 1e-2], "loss": ["combined", "ce"]}
    default, *others = first_guesses(space)
    assert default == default_of(space) == {"size": 128, "lr": 1e-3, "loss": "combined"}
    assert [sum(one[name] != default[name] for name in one) for one in others] == [1, 1]
