"""`torchrun -m fastunet train`: the run of one process, whole also where it is stopped."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.skipif(
    os.name == "nt" or not torch.distributed.is_available(), reason="gloo and torchrun are needed"
)
OPTIONS = ("--size", "32", "--width", "8", "--bs", "4", "--precision", "fp32", "--threads", "1")
EXACT = ("epoch", "dice", "mean_iou", "pixel_accuracy")


def launched(processes: int, *words: str) -> list[str]:
    """The words that start a command in so many processes."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    return [sys.executable, "-m", *(launcher if processes > 1 else []), "fastunet", *words]


def run(processes: int, *words: str) -> subprocess.CompletedProcess:
    """Type a command."""
    return subprocess.run(
        launched(processes, *words), capture_output=True, text=True, timeout=300, check=False
    )


def train(processes: int, out: str, *words: str, epochs: int = 2) -> str:
    """Train on the folder `data`; returns what was printed."""
    done = run(processes, "train", "data", *OPTIONS, "--epochs", str(epochs), "--out", out, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def history(folder: str) -> list[dict[str, str]]:
    with Path(folder, "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "time"} for row in csv.DictReader(file)]


def compare(one: str, other: str) -> None:
    """The scores are the same to the last digit, losses and weights but for rounding."""
    for ours, theirs in zip(history(one), history(other), strict=True):
        assert {name: ours[name] for name in EXACT} == {name: theirs[name] for name in EXACT}
        for name in ours.keys() - set(EXACT):
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-5), name
    ours, theirs = (load_file(f"{folder}/model.safetensors") for folder in (one, other))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-4)


@pytest.fixture
def data(write_pairs, in_tmp) -> None:
    """13 images to train on, in batches of 4, and 5 to validate: nothing divides evenly."""
    write_pairs(18, channels=1)


def test_two_processes_make_the_run_of_one(data):
    alone = train(1, "one", "--valid-pct", "0.28")
    together = train(2, "two", "--valid-pct", "0.28")
    compare("one", "two")
    files = [sorted(file.name for file in Path(folder).rglob("*")) for folder in ("one", "two")]
    assert files[0] == files[1]
    assert together.count("Trained for") == together.count("Network:") == 1, "one of them speaks"
    assert "2 processes" in together
    assert "processes" not in alone


@pytest.mark.slow
def test_a_mistake_is_told_once(data):
    done = run(2, "train", "nowhere", "--out", "r")
    assert done.returncode
    assert done.stderr.count("fastunet: error: nowhere is missing") == 1
    assert not Path("r").exists()
    assert "Traceback" not in done.stderr.partition("torch/distributed/elastic")[0]


@pytest.mark.slow
def test_a_batch_must_have_an_image_for_each_process(data):
    done = run(2, "train", "data", *OPTIONS, "--bs", "1", "--epochs", "1", "--out", "r")
    assert done.stderr.count("fastunet: error: --bs 1 is the whole batch, and 2 processes") == 1
    done = run(2, "audit", "data")
    assert done.stderr.count("only fastunet train shares its work") == 1


@pytest.mark.slow
def test_four_processes_make_the_run_of_one(data):
    train(1, "one", "--bs", "8")
    train(4, "four", "--bs", "8")
    compare("one", "four")


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_and_ends_as_it_would_have(data, by):
    train(2, "whole", epochs=12)
    words = ("train", "data", *OPTIONS, "--epochs", "12", "--out", "stopped")
    going = subprocess.Popen(launched(2, *words), stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while time.monotonic() < end and not Path("stopped/best/bundle.json").exists():
        time.sleep(0.05)
    children = subprocess.run(
        ["pgrep", "-P", str(going.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    # SIGTERM comes to the launcher, as from a scheduler; SIGKILL to a process that has no memory
    os.kill(going.pid if by == signal.SIGTERM else int(children[-1]), by)
    _, told = going.communicate(timeout=100)
    assert going.returncode
    assert told.count("To go on: fastunet train --resume stopped") == 1
    assert len(history("stopped")) < 12

    done = run(2, "train", "--resume", "stopped")
    assert done.returncode == 0, done.stderr
    assert history("stopped") == history("whole")
    ours, theirs = (load_file(f"{folder}/model.safetensors") for folder in ("stopped", "whole"))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.slow
def test_the_clock_of_the_first_process_ends_all(data):
    done = run(2, "train", "data", *OPTIONS, "--minutes", "0.4", "--lr", "auto", "--out", "r")
    assert done.returncode == 0, done.stderr
    assert len(history("r")) > 1
    done = run(1, "train", "--plan", "r/plan.json", "--out", "again")
    assert done.returncode == 0, done.stderr
    assert len(history("again")) == len(history("r"))
