"""What stands in the folder of a run, and what of it is the run's own."""

import json
from pathlib import Path

import pytest

from fastunet.errors import OutputError
from fastunet.runs.contents import split_of, unfinished
from fastunet.runs.run_folder import RunFolder

BUNDLE = {
    "format": 1,
    "architecture": {},
    "preprocess": {},
    "weights": {"file": "model.safetensors"},
}


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


def test_while_it_goes_on_the_run_is_said_to_be_unfinished(in_tmp):
    with RunFolder.claim("r") as run:
        assert "no model yet" in unfinished(Path("r"))
        write_bundle(run.work / "best")
        assert str(Path("r/best")) in unfinished(Path("r"))


def test_files_beside_a_mere_bundle_are_the_users_whatever_their_names(in_tmp):
    write_bundle(Path("r"))
    make_run(Path("r"), "new", overwrite=True)
    write_bundle(Path("s"))
    Path("s/history.csv").write_text("of a notebook")
    with pytest.raises(OutputError, match=r"history\.csv"):
        make_run(Path("s"), overwrite=True)


def test_a_run_of_an_older_version_is_one(in_tmp):
    write_bundle(Path("r"), "old")
    for name in ("command.txt", "history.csv", "results.png", "split.json"):
        Path("r", name).write_text("fastunet train")
    with pytest.raises(OutputError, match="holds a trained model already"):
        make_run(Path("r"))
    make_run(Path("r"), "new", overwrite=True)
    assert Path("r/model.safetensors").read_text() == "new"
    assert not Path("r/results.png").exists()
    assert [f.name for f in in_tmp.iterdir()] == ["r"]


def test_the_split_of_a_run_is_found_from_its_best_epoch(in_tmp):
    with RunFolder.claim("r") as run:
        write_bundle(run.work / "best")
        assert split_of(Path("r/best")) is None
        (run.work / "split.json").touch()
        for path in ("r", "r/best", "r/best/bundle.json"):
            assert split_of(Path(path)).samefile("r/split.json")
    write_bundle(Path("s/best"))
    Path("s/split.json").touch()  # of something else
    assert split_of(Path("s/best")) is None
