"""A run that was stopped goes on from the command line, and becomes the run that it would be."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fastunet.callback.checkpoint import Checkpoint
from fastunet.inference.bundle import Bundle
from fastunet.plan import Plan

SMALL = ("--size", 32, "--bs", 2, "--width", 4, "--lr", 0.01, "--folds", 1)


@pytest.fixture
def stopped(run, write_pairs, monkeypatch):
    """`train data` with options into r, stopped when so many checkpoints are written."""
    write_pairs(10)

    def train(*words, after: int):
        save, written = Checkpoint._save, []

        def save_and_stop(self, *place):
            save(self, *place)
            written.append(place)
            if len(written) == after:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Checkpoint, "_save", save_and_stop)
            code, _, err = run("train", "data", *SMALL, *words, "--out", "r")
        assert code
        assert "To go on: fastunet train --resume r" in err

    return train


def weights(folder: str) -> dict[str, torch.Tensor]:
    return load_file(Path(folder) / "model.safetensors")


def rows(folder: str) -> list[str]:
    lines = (Path(folder) / "history.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in lines]  # without the time


def check_same(one: str, other: str) -> None:
    torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=0)
    assert rows(one) == rows(other)


@pytest.mark.parametrize("after", [1, 6], ids=["in the first epoch", "in the second"])
def test_a_stopped_run_goes_on_bit_for_bit(run, stopped, after):
    words = ("--epochs", 3, "--checkpoint-minutes", 1e-6)
    stopped(*words, after=after)
    code, out, err = run("train", "--resume", "r")
    assert (code, err) == (0, "")
    assert f"goes on after {after // 5} epoch" in out
    assert run("train", "data", *SMALL, *words, "--out", "whole")[0] == 0
    check_same("r", "whole")
    facts = [json.loads(Path(f, "bundle.json").read_text())["training"] for f in ("r", "whole")]
    assert facts[0]["best_epoch"] == facts[1]["best_epoch"]
    assert facts[0]["command"].startswith("fastunet train data")
    assert not Path("r/checkpoints").exists()
    assert run("train", "--resume", "r")[2].count("finished: there is nothing to resume") == 1


def test_accumulated_gradients_and_parts_of_batches_go_on(run, stopped):
    steps = ("--accumulate", 2, "--clip", 0.5, "--micro-batch", 1)
    words = ("--epochs", 2, "--checkpoint-minutes", 1e-6, *steps)
    stopped(*words, after=3)
    assert run("train", "--resume", "r")[0] == 0
    assert run("train", "data", *SMALL, *words, "--out", "whole")[0] == 0
    check_same("r", "whole")


def test_a_run_that_replaces_another_goes_on_beside_it(run, stopped):
    assert run("train", "data", *SMALL, "--epochs", 1, "--out", "r")[0] == 0
    old = weights("r")
    stopped("--epochs", 2, "--overwrite", after=1)
    torch.testing.assert_close(weights("r"), old, rtol=0, atol=0)
    assert run("train", "--resume", "r")[0] == 0
    assert len(rows("r")) == 3
    assert not Path("r.new").exists()


def test_the_time_of_a_stopped_run_may_change_and_its_plan_repeats_it(run, stopped):
    stopped("--minutes", 1, after=1)
    code, out, _ = run("train", "--resume", "r", "--minutes", 0.12)
    assert code == 0
    assert "goes on after 1 epoch" in out
    assert Plan.load("r/plan.json").fit.minutes == 0.12
    assert run("train", "--plan", "r/plan.json", "--out", "again")[0] == 0
    check_same("r", "again")


def test_a_run_of_minutes_that_was_stopped_when_it_was_scored_trains_no_more(
    run, stopped, monkeypatch
):
    from fastunet import finish

    def stop(learn, held_out):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(finish, "score", stop)
        assert run("train", "data", *SMALL, "--minutes", 0.1, "--out", "r")[0]
    before = rows("r")
    assert run("train", "--resume", "r")[0] == 0
    assert rows("r") == before


def test_checkpoints_become_bundles(run, stopped):
    stopped("--epochs", 4, after=3)
    assert run("export", "r", "--best", "--out", "best")[0] == 0
    assert run("export", "r", "--epoch", 1, "--out", "second")[0] == 0
    best, second = Bundle.load("best"), Bundle.load("second")
    assert best.training == Bundle.load("r/best").training
    assert second.training["epoch"] == 1
    assert f"{second.metrics['dice']}" in rows("r")[2]
    code, _, err = run("export", "r", "--epoch", 3, "--out", "other")
    assert (code, err.count("\n")) == (2, 1)
    assert "r has checkpoints of epoch" in err
    assert "exists already" in run("export", "r", "--out", "best")[2]
    assert run("train", "--resume", "r")[0] == 0
    assert run("export", "r", "--out", "finished")[0] == 0
    torch.testing.assert_close(weights("finished"), weights("r"), rtol=0, atol=0)
    assert "the best epoch only" in run("export", "r", "--epoch", 1, "--out", "other")[2]


def test_what_cannot_go_on_is_one_line(run, stopped):
    stopped("--epochs", 2, after=1)
    for words, told in {
        ("--resume", "r", "--epochs", 3): "only --minutes may change",
        ("--resume", "r", "--out", "s"): "only --minutes may change",
        ("--resume", "r", "--minutes", 1): "does not go by the clock",
        ("--resume", "data"): "no training run that was stopped",
        ("data", "--out", "r"): "--resume r",
    }.items():
        code, _, err = run("train", *words)
        assert (code, err.count("\n")) == (2, 1)
        assert told in err
