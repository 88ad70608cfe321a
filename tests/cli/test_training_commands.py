"""The commands that train, as a person types them."""

import csv
import json
import shutil
import time

import cv2
import numpy as np
import pytest
from PIL import Image
from tracked_runs import scalars, tensorboard_run

FAST = ("--size", "32", "--bs", "2", "--width", "4")


def test_train_writes_a_run_folder_and_predict_uses_it(run, write_pairs, in_tmp):
    root = write_pairs(8, size=(50, 70))
    code, out, _ = run("train", root, "--epochs", 2, "--out", "r", *FAST)
    assert code == 0
    assert {f.name for f in (in_tmp / "r").iterdir()} == {
        *("bundle.json", "model.safetensors", "history.csv", "results.png", "command.txt"),
        *("plan.json", "reasons.json", "split.json", "evaluation", "run.json", "report.html"),
    }
    assert "6 train, 2 valid" in out
    assert "foreground" in out

    document = json.loads((in_tmp / "r/bundle.json").read_text())
    assert document["metrics"]["resolution"] == "the images' own size"
    assert 0 <= document["metrics"]["dice"] <= 1
    assert f"Dice {document['metrics']['dice']:.4f}" in out
    assert document["training"]["command"].startswith("fastunet train")
    assert (in_tmp / "r/command.txt").read_text().strip() == document["training"]["command"]
    with (in_tmp / "r/history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert {"train_loss", "valid_loss", "dice"} <= rows[0].keys()
    assert cv2.imread(str(in_tmp / "r/results.png")) is not None
    threshold = document["threshold"]
    assert 0 <= threshold < 1
    assert f"threshold {threshold:g}" in out

    code, out, _ = run("predict", "r", root / "images", "--out", "p", "--overlay")
    assert code == 0
    assert "0 = background, 1 = foreground" in out
    mask = np.array(Image.open(in_tmp / "p/00.png"))
    assert mask.shape == (50, 70)
    assert mask.max() <= 1
    assert cv2.imread(str(in_tmp / "p/00_overlay.png")).shape == (50, 70, 3)
    assert len(list((in_tmp / "p").iterdir())) == 16


def test_a_training_without_bad_pairs_lists_them_in_its_folder(run, write_pairs, in_tmp):
    root = write_pairs(12)
    (root / "masks/02.png").write_bytes(b"")
    cv2.imwrite(str(root / "masks/05.png"), np.zeros((7, 9), np.uint8))
    words = ("train", root, "--epochs", 1, "--out", "r", *FAST)
    code, _, err = run(*words)
    assert code == 2
    assert "--skip-bad" in err
    assert "02.png" in err
    assert "05.png" in err
    with pytest.warns(UserWarning, match="2 of 12 pairs cannot be used"):
        code, out, _ = run(*words, "--skip-bad")
    assert code == 0
    assert "Skipped: 2 pairs; why is in r/skipped.json" in out
    skipped = json.loads((in_tmp / "r/skipped.json").read_text())["skipped"]
    assert [entry["image"] for entry in skipped] == [
        str(root / f"images/{n}.png") for n in ("02", "05")
    ]
    with pytest.warns(UserWarning, match="leaves out 2 images") as said:
        code, out, _ = run("evaluate", "r", root)
    assert code == 0
    assert "valid: 2 images" in out
    assert not [one for one in said if "trained on other images" in str(one.message)]
    with pytest.warns(UserWarning, match="2 of 12"):  # the list is a run's own file
        assert run(*words, "--overwrite", "--skip-bad")[0] == 0


def test_train_by_the_clock_with_a_test_part_void_and_names(run, tmp_path, write_pairs, in_tmp):
    for part in ("train", "val", "test"):
        write_pairs(4, (0, 1, 9), folder=f"d/{part}")
    code, out, err = run(
        "train", "d", "--minutes", 0.03, "--void", 9, "--classes", "soil,crop", "--out", "r", *FAST
    )
    assert (code, err) == (0, "")
    assert "4 train, 4 valid, 4 test" in out
    assert "0 = soil, 1 = crop; void: 9" in out
    assert "test: 4 images at their own size" in out
    metrics = json.loads((in_tmp / "r/bundle.json").read_text())["metrics"]
    assert metrics["split"] == "test"
    assert metrics["valid"]["images"] == 4


def test_a_run_that_asked_lr_find_can_be_replaced(run, write_pairs, in_tmp):
    write_pairs(6)
    words = ("train", "data", "--lr", "auto", "--epochs", 1, "--out", "r", *FAST)
    assert run(*words)[0] == 0
    assert (in_tmp / "r/lr_find.png").is_file()
    assert {entry.name for entry in (in_tmp / "r").iterdir() if entry.is_dir()} == {"evaluation"}
    code, _, err = run(*words, "--overwrite")
    assert (code, err) == (0, "")


def test_lr_find_draws_its_curve_and_leaves_nothing_else(run, write_pairs, in_tmp):
    root = write_pairs(6)
    code, out, _ = run("lr-find", root, *FAST)
    assert code == 0
    assert f"fastunet train {root} --lr " in out
    assert cv2.imread(str(in_tmp / "lr_find.png")) is not None
    assert {f.name for f in in_tmp.iterdir()} == {"data", "lr_find.png"}


def test_runs_are_numbered_and_never_written_over(run, write_pairs, in_tmp):
    root = write_pairs(4)
    for _ in range(2):
        assert run("train", root, "--epochs", 1, *FAST)[0] == 0
    assert {f.name for f in (in_tmp / "runs").iterdir()} == {"data-1", "data-2"}
    before = (in_tmp / "runs/data-1/bundle.json").read_bytes()
    code, _, err = run("train", root, "--epochs", 1, "--out", "runs/data-1", *FAST)
    assert code == 2
    assert "--overwrite" in err
    assert (in_tmp / "runs/data-1/bundle.json").read_bytes() == before


@pytest.mark.parametrize(
    "arch", ["test_resnet", pytest.param("fastai:resnet18", marks=pytest.mark.slow)]
)
def test_an_encoder_trains_from_the_command_line(run, write_pairs, in_tmp, arch):
    words = ("--arch", arch, "--no-pretrained", "--epochs", 1, "--size", "32x64", "--bs", 2)
    code, out, _ = run("train", write_pairs(4), "--out", "r", *words)
    assert code == 0
    assert f"Network: {arch}, " in out
    assert run("predict", "r", "data/images/00.png")[0] == 0


def test_channels_in_files_of_their_own_train_and_predict(run, write_pairs, in_tmp):
    root = write_pairs(6, (0, 1), channels=1)
    (root / "imagesTr").mkdir()
    (root / "masks").rename(root / "labelsTr")
    for file in sorted((root / "images").iterdir()):
        for number in (0, 1):
            shutil.copy(file, root / f"imagesTr/{file.stem}_000{number}.png")
    shutil.rmtree(root / "images")
    assert run("train", root, "--epochs", 1, "--out", "r", *FAST)[0] == 0
    code, out, _ = run("predict", "r", "data/imagesTr", "--out", "p")
    assert (code, out.split()[:2]) == (0, ["6", "masks"])
    assert cv2.imread("p/03.png") is not None
    code, _, err = run("predict", "r", "data/labelsTr/00.png")
    assert code == 1
    assert "images of 2 channel files were expected" in err


def test_minutes_are_those_of_the_whole_run(write_pairs, in_tmp, capsys):
    from fastunet import training
    from fastunet.plan import Plan
    from fastunet.runs.run_folder import RunFolder

    plan = Plan.of(data=write_pairs(8), size=32, bs=2, width=4, minutes=0.12)
    start = time.perf_counter()
    with RunFolder.claim("r") as folder:
        training.train(plan, folder, start - 2)  # so long ago the command was typed
    assert 4 < 2 + time.perf_counter() - start < 1.1 * 60 * 0.12
    assert "epoch" in capsys.readouterr().out


def test_a_learning_rate_is_not_looked_for_where_there_is_no_time(write_pairs, in_tmp, capsys):
    from fastunet import training
    from fastunet.plan import Plan
    from fastunet.runs.run_folder import RunFolder

    hurried = {"minutes": 0.004, "lr": "auto"}
    plan = Plan.of(data=write_pairs(8), size=32, bs=2, width=4, **hurried)
    with RunFolder.claim("r") as folder:
        training.train(plan, folder)
    assert "lr_find: left out" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["notes", "a file", "below a file"])
def test_train_refuses_a_place_that_is_not_its_own_before_the_data_are_read(run, in_tmp, kind):
    (in_tmp / "r").mkdir() if kind == "notes" else (in_tmp / "r").touch()
    if kind == "notes":
        (in_tmp / "r/history.csv").write_text("mine")
    out = "r/deep" if kind == "below a file" else "r"
    code, printed, err = run("train", "nowhere", "--out", out, "--overwrite", *FAST)
    assert (code, printed, err.count("\n")) == (2, "", 1)
    assert ("history.csv" if kind == "notes" else "is a file") in err
    assert len(list(in_tmp.rglob("*"))) == (2 if kind == "notes" else 1)


def test_a_mistake_in_the_data_leaves_no_folder_of_a_run(run, in_tmp):
    assert run("train", "nowhere", *FAST)[0] == 2
    assert run("train", "nowhere", "--out", "a/r", *FAST)[0] == 2
    assert list(in_tmp.iterdir()) == []


def test_a_training_that_fails_says_where_its_best_epoch_is(run, write_pairs, in_tmp, monkeypatch):
    monkeypatch.setattr("fastunet.finish.best_threshold", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("train", write_pairs(4), "--epochs", 1, "--out", "r", *FAST)
    monkeypatch.undo()
    monkeypatch.chdir(in_tmp)
    code, _, err = run("predict", "r", "data/images/00.png")
    assert code == 2
    assert "r/best" in err
    assert run("predict", "r/best", "data/images/00.png")[0] == 0
    assert run("evaluate", "r/best", "data")[1].startswith("valid: 1 image")


def test_a_run_minimises_the_loss_that_was_asked_for(run, write_pairs, in_tmp):
    root = write_pairs(8)
    assert run("train", root, "--epochs", 1, "--out", "r", "--loss", "lovasz", *FAST)[0] == 0
    with (in_tmp / "r/history.csv").open() as file:
        [row] = csv.DictReader(file)
    assert "dice_loss" not in row
    assert json.loads((in_tmp / "r/plan.json").read_text())["fit"]["loss"] == "lovasz"


def test_a_tracked_run_has_its_options_scores_and_pictures_in_its_folder(run, write_pairs, in_tmp):
    pytest.importorskip("tensorboard")
    root = write_pairs(8)
    words = ("train", root, "--epochs", 1, "--out", "r", "--track", "tensorboard", *FAST)
    assert run(*words)[0] == 0
    assert run(*words, "--overwrite")[0] == 0  # the events are a run's own files
    events = tensorboard_run(in_tmp / "r/tensorboard")
    document = json.loads((in_tmp / "r/bundle.json").read_text())["metrics"]
    low, _ = document["intervals"]["dice"]
    assert scalars(events, "valid/dice")[3] == pytest.approx(document["dice"], abs=1e-5)
    assert scalars(events, "valid/dice_low")[3] == pytest.approx(low, abs=1e-5)
    assert events.Images("predictions")
    code, _, err = run(*words[:2], "--track", "neptune")
    assert code == 2
    assert "some of tensorboard, wandb, mlflow were expected" in err
