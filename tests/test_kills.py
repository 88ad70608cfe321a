"""Trainings that are killed, stopped, or meet another one: what they leave is whole, or says so."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastunet.errors import BundleError
from fastunet.inference import Segmenter
from fastunet.report.result import Evaluation
from fastunet.run_files import record_of

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


def start(root: Path, *words: str) -> subprocess.Popen:
    """A training of its own process, in the folder beside the data."""
    command = [sys.executable, "-m", "fastunet.cli", "train", str(root), "--size", "16",
               "--width", "2", *words]  # fmt: skip
    with (root.parent / "said.txt").open("ab") as said:
        return subprocess.Popen(
            command,
            cwd=root.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)


def is_whole(folder: Path) -> bool:
    """A finished run, all of whose files are of one training; anything else says that it is not."""
    record = record_of(folder) if folder.is_dir() else None
    if record is None or record["status"] != "finished":
        if (folder / "bundle.json").exists():  # the last moment: only the record is missing
            Segmenter.load(folder, device="cpu")
        elif folder.is_dir():
            with pytest.raises(BundleError, match=r"not finished|no bundle"):
                Segmenter.load(folder, device="cpu")
        if (folder / "best" / "bundle.json").exists():
            Segmenter.load(folder / "best", device="cpu")
        return False
    document = json.loads((folder / "bundle.json").read_text())
    Segmenter.load(folder, device="cpu")
    scores = Evaluation.load(folder / "evaluation")
    split = json.loads((folder / "split.json").read_text())
    assert sorted(scores.names) == sorted(Path(name).name for name in split[scores.split])
    assert document["metrics"]["dice"] == pytest.approx(scores.dice, abs=1e-5)
    assert record["command"] == document["training"]["command"]
    assert (folder / "results.png").stat().st_size > 1000
    assert not (folder / "best").exists()
    return True


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Eight tiny pairs."""
    root = tmp_path_factory.mktemp("kills") / "data"
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for i in range(8):
        mask = np.zeros((20, 24), np.uint8)
        cv2.circle(mask, (int(rng.integers(4, 20)), 10), 5, 255, -1)
        cv2.imwrite(str(root / f"images/{i}.png"), np.stack([mask // 2 + 40] * 3, -1))
        cv2.imwrite(str(root / f"masks/{i}.png"), mask)
    return root


@pytest.fixture(scope="module")
def trained(data) -> Path:
    """A finished run that others are to replace."""
    assert start(data, "--epochs", "1", "--out", "old").wait() == 0
    assert is_whole(data.parent / "old")
    return data.parent / "old"


def kill_one(data: Path, trained: Path, place: Path, seed: int, overwrite: bool) -> str:
    """Train into `place`, kill at a random moment, see what stands there; says what was found."""
    rng = random.Random(seed)
    number = SIGNALS[seed % 3]
    name = place.name
    words = ["--epochs", str(rng.choice([2, 30])), "--out", name]
    if overwrite:
        place.mkdir()
        for file, content in files_of(trained).items():
            (place / file).parent.mkdir(exist_ok=True)
            (place / file).write_bytes(content)
    older = files_of(place) if overwrite else None
    process = start(data, *words, *(["--overwrite"] if overwrite else []))
    work = place.with_name(f"{name}.new") if overwrite else place
    moments = {
        "claimed": lambda: (work / "run.json").exists(),
        "first best": lambda: (work / "best" / "bundle.json").exists(),
        "evaluated": lambda: (work / "evaluation").exists(),
        "weights": lambda: (work / "model.safetensors").exists(),
    }
    moment = rng.choice(list(moments))
    wait_for(moments[moment], process)
    time.sleep(rng.uniform(0, 0.3))
    process.send_signal(number)
    code = process.wait(timeout=60)
    whole = is_whole(place)
    if code not in (0, CODES[number]):
        said = (data.parent / "said.txt").read_text()[-2000:]
        raise AssertionError(f"exit code {code} after {number.name}: {said}")
    if code == 0:
        assert whole
    elif overwrite and files_of(place) != older:
        assert whole  # the new one was in its place already
        assert json.loads((place / "run.json").read_text())["command"].endswith("--overwrite")
    if overwrite:
        assert whole, "the older model must survive, or the new one be whole"
    if number != signal.SIGKILL:
        assert not list(place.parent.rglob("*.partial"))
    return f"{number.name} at {moment!r}: {'whole' if whole else 'not whole, and says so'}"


def train_again(data: Path, place: Path) -> None:
    """Whatever was left, another training can have the place."""
    process = start(data, "--epochs", "1", "--out", place.name, "--overwrite")
    assert process.wait(timeout=120) == 0, (data.parent / "said.txt").read_text()[-2000:]
    assert is_whole(place)
    assert not place.with_name(f"{place.name}.new").exists()
    assert not place.with_name(f"{place.name}.old").exists()


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_training_leaves_a_whole_run_or_says_that_it_is_none(data, trained, seed):
    place = data.parent / f"usual-{seed}"
    print(kill_one(data, trained, place, seed, overwrite=seed != 1))
    if seed == 0:
        train_again(data, place)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 30))
def test_twenty_killed_trainings(data, trained, seed):
    place = data.parent / f"slow-{seed}"
    print(kill_one(data, trained, place, seed, overwrite=bool(seed // 3 % 2)))
    train_again(data, place)


def test_two_at_once_into_one_folder_never_mix(data):
    first = start(data, "--minutes", "0.5", "--out", "shared")
    wait_for(lambda: (data.parent / "shared" / "run.json").exists(), first)
    second = start(data, "--epochs", "1", "--out", "shared", "--overwrite")
    assert second.wait(timeout=120) == 2
    assert "Another training is writing to shared" in (data.parent / "said.txt").read_text()
    assert first.wait(timeout=120) == 0
    assert is_whole(data.parent / "shared")
    assert "--minutes 0.5" in json.loads((data.parent / "shared/run.json").read_text())["command"]


def test_two_at_once_without_a_name_get_two_folders(data):
    both = [start(data, "--epochs", "1") for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    runs = sorted((data.parent / "runs").iterdir())
    assert [run.name for run in runs] == ["data-1", "data-2"]
    assert all(map(is_whole, runs))
