"""The folder of a training run: who may write to it, and what stands there at every moment."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from fastunet._util import folders
from fastunet.errors import OutputError
from fastunet.runs.contents import state_of, unfinished
from fastunet.runs.run_folder import RunFolder

BUNDLE = {
    "format": 1,
    "architecture": {},
    "preprocess": {},
    "weights": {"file": "model.safetensors"},
}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def write_bundle(folder: Path, weights: str = "weights") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(weights)
    (folder / "bundle.json").write_text(json.dumps(BUNDLE))


def make_run(path: Path, weights: str = "weights", overwrite: bool = False) -> Path:
    with RunFolder.claim(path, overwrite) as run:
        (run.work / "split.json").write_text("{}")
        (run.work / "history.csv").write_text("epoch\n")
        write_bundle(run.work / "best")
        write_bundle(run.work, weights)
        (run.work / "evaluation").mkdir()
        (run.work / "evaluation/evaluation.json").write_text("{}")
        run.finish()
    return path


def stop_run(path: Path, overwrite: bool = False, model: bool = True) -> Path:
    with suppress(KeyboardInterrupt), RunFolder.claim(path, overwrite) as run:
        if model:
            write_bundle(run.work / "best")
            (run.work / "history.csv").write_text("epoch\n")
        raise KeyboardInterrupt
    return path


def test_a_run_is_made_in_place_and_holds_its_own_files_only(in_tmp):
    make_run(Path("a/b/r"))
    assert tree(Path("a/b/r")).keys() == {
        "run.json",
        "split.json",
        "history.csv",
        "bundle.json",
        "model.safetensors",
        "evaluation/evaluation.json",
    }
    record = json.loads(Path("a/b/r/run.json").read_text())
    assert record["status"] == "finished"
    assert unfinished(Path("a/b/r")) == ""


def test_an_empty_folder_is_taken_also_the_one_that_one_is_in(in_tmp):
    make_run(Path())
    assert (in_tmp / "run.json").exists()


FOREIGN = {
    "notes.txt": ["notes.txt"],
    "the user's own history": ["history.csv"],
    "a fastai project": ["history.csv", "results.png", "models/best.pth"],
    "another program's bundle.json": ["bundle.json"],
    "another program's run.json": ["run.json"],
    "a folder": ["masks/1.png"],
}


@pytest.mark.parametrize("names", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_files_of_the_user_is_refused_and_stays(in_tmp, names, overwrite):
    for name in names:
        (in_tmp / "r" / name).parent.mkdir(parents=True, exist_ok=True)
        (in_tmp / "r" / name).write_text('{"mine": 1}')
    before = tree(in_tmp)
    with pytest.raises(OutputError, match=rf"r holds files.*{names[0]}"):
        make_run(Path("r"), overwrite=overwrite)
    assert tree(in_tmp) == before


@pytest.mark.parametrize("name", ["notes.txt", "best/mine.txt", "predictions/1.png"])
def test_a_run_to_which_the_user_added_files_is_not_replaced(in_tmp, name):
    make_run(Path("r"))
    (in_tmp / "r" / name).parent.mkdir(exist_ok=True)
    (in_tmp / "r" / name).write_text("mine")
    before = tree(in_tmp)
    with pytest.raises(OutputError, match=name):
        make_run(Path("r"), overwrite=True)
    assert tree(in_tmp) == before


@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(True, id="in one step"),
        pytest.param(False, id="by two renames", marks=pytest.mark.slow),
    ],
)
def test_a_run_is_replaced_when_asked_as_a_whole(in_tmp, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda a, b: False)
    make_run(Path("r"), "old")
    before = tree(Path("r"))
    with pytest.raises(OutputError, match="--overwrite"):
        make_run(Path("r"))
    with RunFolder.claim("r", overwrite=True) as run:
        write_bundle(run.work, "new")
        now = tree(Path("r"))
        now.pop(".lock")
        assert now == before  # the old run is there to the end
        run.finish()
    assert Path("r/model.safetensors").read_text() == "new"
    assert not Path("r/split.json").exists()
    assert [f.name for f in in_tmp.iterdir()] == ["r"]


def test_through_a_link_the_run_behind_it_is_replaced(in_tmp):
    make_run(Path("disk/r"), "old")
    Path("r").symlink_to("disk/r")
    make_run(Path("r"), "new", overwrite=True)
    assert Path("r").is_symlink()
    assert Path("disk/r/model.safetensors").read_text() == "new"


def test_a_file_that_appears_in_the_replaced_run_is_kept_and_told(in_tmp):
    make_run(Path("r"))
    with RunFolder.claim("r", overwrite=True) as run:
        Path("r/notes.txt").write_text("mine")
        write_bundle(run.work, "new")
        assert run.finish() == [Path("r.new/notes.txt")]
    assert Path("r.new/notes.txt").read_text() == "mine"
    assert Path("r/model.safetensors").read_text() == "new"


def test_what_two_renames_left_when_they_were_interrupted_is_put_right(in_tmp):
    make_run(Path("r"), "old")
    Path("r/.temporary").touch()
    Path("r").rename("r.old")
    with pytest.raises(OutputError, match="holds a trained model already"):
        make_run(Path("r"))
    assert Path("r/model.safetensors").read_text() == "old"


def test_the_folder_that_one_is_in_is_not_pulled_away(in_tmp, monkeypatch):
    make_run(Path("r"))
    monkeypatch.chdir("r")
    before = tree(in_tmp)
    with pytest.raises(OutputError, match="folder that you are in"):
        make_run(Path(), overwrite=True)
    assert tree(in_tmp) == before


def test_a_mount_point_that_holds_a_run_is_refused_at_once(in_tmp, monkeypatch):
    make_run(Path("r"))
    monkeypatch.setattr("fastunet.runs.run_folder.is_mount", lambda folder: True)
    with pytest.raises(OutputError, match="mount point"):
        make_run(Path("r"), overwrite=True)
    assert folders.is_mount(Path("/proc"))
    assert not folders.is_mount(in_tmp / "r")


# --- a run that does not come to its end ----------------------------------------------------------


def test_a_run_without_a_model_leaves_nothing(in_tmp):
    Path("empty").mkdir()
    stop_run(Path("a/r"), model=False)
    stop_run(Path("empty"), model=False)
    make_run(Path("old"), "old")
    before = tree(in_tmp)
    stop_run(Path("old"), overwrite=True, model=False)
    assert tree(in_tmp) == before
    assert sorted(f.name for f in in_tmp.iterdir()) == ["empty", "old"]


def test_a_run_with_a_model_stays_as_unfinished_and_can_be_replaced(in_tmp):
    stop_run(Path("r"))
    assert tree(Path("r")).keys() == {
        "run.json",
        "history.csv",
        "best/bundle.json",
        "best/model.safetensors",
    }
    with pytest.raises(OutputError, match=r"not finished.*r/best.*--overwrite"):
        make_run(Path("r"))
    make_run(Path("r"), "new", overwrite=True)
    assert unfinished(Path("r")) == ""
    assert not Path("r/best").exists()
    assert [f.name for f in in_tmp.iterdir()] == ["r"]


def test_a_run_that_was_to_replace_another_and_was_stopped_makes_way_for_the_next(in_tmp):
    make_run(Path("r"), "old")
    before = tree(Path("r"))
    stop_run(Path("r"), overwrite=True)
    assert tree(Path("r")) == before
    assert Path("r.new/best/bundle.json").exists()
    make_run(Path("r"), "new", overwrite=True)
    assert Path("r/model.safetensors").read_text() == "new"
    assert [f.name for f in in_tmp.iterdir()] == ["r"]


@pytest.mark.parametrize("make", [make_run, stop_run, write_bundle])
def test_what_the_user_has_beside_the_run_is_never_removed(in_tmp, make):
    make_run(Path("r"), "old")
    make(Path("r.new"))
    before = tree(in_tmp)
    with pytest.raises(OutputError, match=r"r\.new is in the way"):
        make_run(Path("r"), overwrite=True)
    assert tree(in_tmp) == before


# --- two at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_that_goes_on_is_named_and_not_disturbed(in_tmp, overwrite):
    with RunFolder.claim("r") as run:
        before = tree(in_tmp)
        with pytest.raises(OutputError, match="Another training is writing to r"):
            make_run(Path("r"), overwrite=overwrite)
        assert tree(in_tmp) == before
        write_bundle(run.work, "first")
        run.finish()
    assert Path("r/model.safetensors").read_text() == "first"


def test_a_run_that_is_being_replaced_is_not_replaced_twice(in_tmp):
    make_run(Path("r"), "old")
    with RunFolder.claim("r", overwrite=True) as run:
        for path in ("r", "r.new"):
            with pytest.raises(OutputError, match=f"Another training is writing to {path}"):
                make_run(Path(path), overwrite=True)
        write_bundle(run.work, "new")
        run.finish()
    assert Path("r/model.safetensors").read_text() == "new"


CLAIMS = """
import sys, time
from pathlib import Path
from fastunet.runs.run_folder import RunFolder
for _ in range(20):
    with RunFolder.claim_next(Path("runs"), "data") as run:
        (run.work / "split.json").write_text(sys.argv[1])
        time.sleep(0.001)
        run.finish()
"""


def test_runs_without_a_name_get_folders_of_their_own_also_at_the_same_time(in_tmp):
    command = [sys.executable, "-c", CLAIMS]
    both = [subprocess.Popen([*command, name]) for name in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    written = [f.read_text() for f in in_tmp.glob("runs/*/split.json")]
    assert sorted(written) == ["a"] * 20 + ["b"] * 20


KILLED = """
import os, signal
from fastunet.runs.run_folder import RunFolder
with RunFolder.claim("r"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_lock_of_a_killed_process_is_gone(in_tmp):
    done = subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(OutputError, match="no model yet"):
        make_run(Path("r"))
    make_run(Path("r"), overwrite=True)
    assert unfinished(Path("r")) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize("exchange", [True, False], ids=["in one step", "by two renames"])
@pytest.mark.parametrize("old", [True, False], ids=["over a run", "in place"])
def test_whenever_a_run_is_killed_the_old_one_or_the_new_one_is_whole(
    in_tmp, monkeypatch, exchange, old
):
    """Killed before the first thing that is done to the disk, before the second, and so on."""
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda a, b: False)
    make_run(Path("expected"), "old")
    names = tree(Path("expected")).keys()
    shutil.rmtree("expected")
    place, seen = Path("r"), []
    for step in count(1):
        if old:
            make_run(place, "old")
        child = os.fork()
        if not child:
            kill_at(step)
            make_run(place, "new", overwrite=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not place.exists() and old:  # between two renames
            assert not exchange
            assert Path("r.old/model.safetensors").read_text() == "old"
            assert Path("r.new/model.safetensors").read_text() == "new"
        elif old or (place.exists() and state_of(place)[0] == "finished"):
            seen.append((place / "model.safetensors").read_text())
            assert unfinished(place) == ""
            assert names <= tree(place).keys()
        elif (place / "run.json").exists():
            assert "not finished" in unfinished(place)
        else:
            assert not (place / "bundle.json").exists()
        make_run(place, "next", overwrite=True)
        assert (place / "model.safetensors").read_text() == "next"
        assert [f.name for f in in_tmp.iterdir()] == ["r"]
        assert tree(place).keys() == names
        shutil.rmtree(place)
        if not status:
            break
    assert step > 20
    assert set(seen) == ({"old", "new"} if old else {"new"})


ON_DISK = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime")


def kill_at(step: int) -> None:
    """End this process by force before it does its so-manieth thing to the disk."""
    done = count(1)

    def hook(event, _):
        if event in ON_DISK and next(done) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


# --- what cannot be written -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["afile", "afile/r", "afile/deep/r"])
def test_a_file_in_the_place_of_a_folder_is_named(in_tmp, path):
    Path("afile").touch()
    with pytest.raises(OutputError, match="file where a folder was meant"):
        make_run(Path(path))
    assert [f.name for f in in_tmp.iterdir()] == ["afile"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_an_unwritable_folder_is_named(in_tmp):
    Path("r").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="permission"):
        make_run(Path("r"))


def test_too_little_room_is_said_before_the_training(in_tmp):
    with RunFolder.claim("r") as run:
        run.check_space(1000)
        with pytest.raises(OutputError, match="MB are free"):
            run.check_space(10**18)
