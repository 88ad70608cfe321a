"""A training that is killed at any moment, or meets another: nothing is lost, nothing is mixed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastunet import training as runs
from fastunet.plan import Plan
from fastunet.runs.contents import unfinished
from fastunet.runs.run_folder import RunFolder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")

EPOCHS, EPOCHS_BEFORE = 3, 1
OPTIONS = ("--size", "32", "--bs", "2", "--width", "4", "--lr", "0.03", "--epochs", str(EPOCHS))
# what a run writes, in this order; a kill comes a moment after one of them
STEPS = (
    "run.json",
    "split.json",
    "history.csv",
    "best/model.safetensors",
    "best/bundle.json",
    "results.png",
    "evaluation/evaluation.json",
    "model.safetensors",
    "bundle.json",
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with `data` and an older run, `old`."""
    folder = tmp_path_factory.mktemp("made")
    for part in ("images", "masks"):
        (folder / "data" / part).mkdir(parents=True)
    for i in range(8):
        mask = np.zeros((40, 48), np.uint8)
        cv2.circle(mask, (8 + 4 * i, 20), 9, 255, -1)
        noise = np.random.default_rng(i).normal(0, 12, mask.shape)
        cv2.imwrite(str(folder / f"data/masks/{i}.png"), mask)
        image = np.clip(40 + 0.6 * mask + noise, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"data/images/{i}.png"), image)
    plan = Plan.of(data=folder / "data", size=32, bs=2, width=4, lr=0.03, epochs=EPOCHS_BEFORE)
    with RunFolder.claim(folder / "old") as claimed:
        runs.train(plan, claimed, command="fastunet train")
    return folder


@pytest.fixture
def place(made, in_tmp) -> Path:
    shutil.copytree(made / "data", in_tmp / "data")
    return in_tmp


def start(*words: str) -> subprocess.Popen:
    return process_of("-m", "fastunet", "train", "data", *OPTIONS, *words)


def process_of(*words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background of a shell ignores Ctrl-C, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def kill(process: subprocess.Popen, number: int, work: Path, step: str, delay: float) -> str:
    """Send the signal so long after the step that the run writes to `work`. Returns stderr."""
    while not (work / step).exists() and process.poll() is None:
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(number)
    return process.communicate(timeout=120)[1]


def partials(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.name.endswith(".partial")]


def mask_by(run, bundle: str) -> np.ndarray | None:
    code, _, err = run("predict", bundle, "data/images/0.png", "--out", "p", "--overwrite")
    if code:
        assert (code, err.count("\n")) == (2, 1)
        return None
    return cv2.imread("p/0.png", cv2.IMREAD_UNCHANGED)


def check_whole(run, folder: Path):
    """Everything of a run, of one and the same training."""
    assert unfinished(folder) == ""
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"
    assert mask_by(run, str(folder)) is not None
    code, out, err = run("evaluate", folder, "data", "--json")
    assert (code, err) == (0, "")  # the split is known
    stored = json.loads((folder / "evaluation/evaluation.json").read_text())
    assert json.loads(out)["dice"] == stored["dice"]
    assert json.loads((folder / "bundle.json").read_text())["metrics"]["dice"] == stored["dice"]
    assert not partials(folder)


def check_killed(run, seed: int, number: int, overwrite: bool, made: Path):
    rng = random.Random(seed)
    step, delay = rng.choice(STEPS), rng.choice([0, 0.01, 0.1, 0.5]) * rng.random()
    place, work, old = Path("r"), Path("r"), None
    if overwrite:
        shutil.copytree(made / "old", place)
        work, old = Path("r.new"), mask_by(run, "r")
    process = start("--out", "r", *(["--overwrite"] if overwrite else []))
    err = kill(process, number, work, step, delay)
    in_order = number != signal.SIGKILL
    ended = process.returncode == -number  # by the system: also while Python ends, after the run
    assert ended or (in_order and process.returncode in (0, 128 + number)) or not process.returncode
    assert ended or "Traceback" not in err

    if overwrite:  # the old run or the new one
        check_whole(run, place)
        facts = json.loads((place / "bundle.json").read_text())["training"]
        if facts["epochs"] == EPOCHS_BEFORE:
            np.testing.assert_array_equal(mask_by(run, "r"), old)
        else:
            assert facts["epochs"] == EPOCHS
    if unfinished(work):
        assert mask_by(run, str(work)) is None
        best = work / "best"
        if (best / "bundle.json").exists():
            assert mask_by(run, str(best)) is not None
            assert run("evaluate", best, "data", "--json")[::2] == (0, "")
            assert not in_order or f"fastunet predict {best}" in err
        assert not in_order or f"--resume {place}" in err
    elif work.exists() and not overwrite and (work / "run.json").exists():
        check_whole(run, work)
    if in_order:
        assert not partials(Path())
        assert not (place / ".lock").exists()

    code, _, err = run("train", "data", *OPTIONS, "--out", "r", "--overwrite")
    assert (code, err) == (0, "")
    check_whole(run, place)
    assert {entry.name for entry in Path().iterdir()} <= {"data", "r", "p"}


@pytest.mark.parametrize(
    ("seed", "number", "overwrite"),
    [
        (1, signal.SIGKILL, True),
        (5, signal.SIGTERM, False),
        pytest.param(3, signal.SIGINT, True, marks=pytest.mark.slow),
    ],
)
def test_a_training_that_is_killed_leaves_whole_runs_only(
    run, place, made, seed, number, overwrite
):
    check_killed(run, seed, number, overwrite, made)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_training_that_is_killed_at_any_moment_leaves_whole_runs_only(run, place, made, seed):
    check_killed(run, seed, SIGNALS[seed % 3], bool(seed // 3 % 2), made)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_is_stopped_while_it_starts_leaves_nothing(run, place, number):
    process = start("--out", "r")
    err = kill(process, number, Path("r"), "run.json", 0.5)
    assert process.returncode == 128 + number
    assert err.count("\n") == 1
    assert "no model yet" in err
    assert [entry.name for entry in place.iterdir()] == ["data"]


def test_of_two_trainings_into_one_folder_one_is_refused_and_the_other_whole(run, place):
    both = [start("--out", "r") for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2]
    refused = errors[codes.index(2)]
    assert refused.count("\n") == 1
    assert "Another training is writing to r" in refused
    check_whole(run, Path("r"))


def test_two_trainings_without_a_folder_get_one_each(run, place):
    both = [start() for _ in range(2)]
    assert [process.communicate(timeout=120)[1] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    for number in (1, 2):
        check_whole(run, Path(f"runs/data-{number}"))


# --- going on -------------------------------------------------------------------------------------

PYTHON = """
import sys
from fastai.callback.progress import CSVLogger
from fastai.callback.tracker import SaveModelCallback
from fastai.torch_core import set_seed
from fastunet import Checkpoint, ImageMaskDataLoaders, segmentation_learner

def main(folder, processes):
    set_seed(1)
    dls = ImageMaskDataLoaders.from_folder(
        "data", size=48, bs=2, device="cpu", num_workers=processes, processes=True
    )
    learn = segmentation_learner(dls, width=8, path=folder)
    best = SaveModelCallback("dice")
    with learn.no_bar():
        learn.fit_one_cycle(
            6, 0.01, cbs=[CSVLogger(), best, Checkpoint(f"{folder}/checkpoints", 0, resume=True)]
        )
    learn.save_bundle(folder, {})

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
"""
SLOWLY = ("--size", "48", "--bs", "2", "--width", "8", "--lr", "0.01", "--epochs", "6")
OFTEN = ("--checkpoint-minutes", "0.0001")


class Training:
    """A training in a folder, begun or resumed."""

    def __init__(self, how: str, folder: Path):
        self.how, self.folder = how, folder

    def run(self) -> subprocess.Popen:
        if self.how == "processes":
            self.folder.mkdir(exist_ok=True)
            return process_of("train.py", str(self.folder), "2")
        train = ("-m", "fastunet", "train")
        if (self.folder / "run.json").exists():
            return process_of(*train, "--resume", str(self.folder))
        cache = ("--cache", "none") if self.how == "threads" else ()
        return process_of(*train, "data", *SLOWLY, *OFTEN, *cache, "--out", str(self.folder))

    @property
    def place(self) -> str:
        """The last checkpoint."""
        return max((file.name for file in self.folder.glob("checkpoints/*.ckpt")), default="")

    def complete(self) -> None:
        process = self.run()
        err = process.communicate()[1]
        assert process.returncode == 0, err

    @property
    def is_finished(self) -> bool:
        if self.how == "processes":
            return (self.folder / "bundle.json").exists()
        record = self.folder / "run.json"
        return record.exists() and json.loads(record.read_text())["status"] == "finished"

    def result(self) -> tuple:
        """The weights, the history without the times, and which epoch was the best."""
        rows = (self.folder / "history.csv").read_text().splitlines()
        rows = [row.rpartition(",")[0] for row in rows]
        best = None
        if self.how != "processes":
            facts = json.loads((self.folder / "bundle.json").read_text())["training"]
            best = facts["best_epoch"], facts["best_by"], facts["epochs"]
        return (self.folder / "model.safetensors").read_bytes(), rows, best


def kill_at_random(training: Training, rng: random.Random, number: int) -> None:
    """Let it run into the next checkpoint and a little further, now and then not so far."""
    before, process = training.place, training.run()
    ends = time.time() + (rng.uniform(0, 6) if rng.random() < 0.2 else 60)
    while process.poll() is None and training.place <= before and time.time() < ends:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 1))
    process.send_signal(number)
    err = process.communicate(timeout=120)[1]
    assert process.returncode in (0, -number, 128 + number), err
    if process.returncode == 128 + number and training.place:
        assert f"--resume {training.folder}" in err
    if number == signal.SIGTERM:
        assert not partials(training.folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("how", ["no workers", "threads", "processes"])
def test_a_training_killed_at_20_moments_ends_as_one_that_is_not(made, place, how, number):
    """Bit for bit: weights, history and best epoch."""
    Path("train.py").write_text(PYTHON)
    for i in range(8, 40):  # more images, under other names
        for part in ("images", "masks"):
            shutil.copy(f"data/{part}/{i % 8}.png", f"data/{part}/{i}.png")
    whole = Training(how, Path("whole"))
    whole.complete()
    expected = whole.result()
    rng, kills, finished = random.Random(how), 0, 0
    while kills < 20 or not finished:
        training = Training(how, Path(f"killed-{finished}"))
        while not training.is_finished and kills < 20:
            kill_at_random(training, rng, number)
            kills += not training.is_finished
        if not training.is_finished:
            training.complete()
        assert training.result() == expected
        finished += 1
    print(f"{how}: {kills} kills of {finished} trainings")
