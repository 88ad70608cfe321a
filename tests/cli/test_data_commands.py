"""`fastunet audit`, as a person types it."""

import json
import warnings

import cv2
import numpy as np
import pytest


def test_good_data_end_in_the_next_command_and_exit_code_0(run, write_pairs, in_tmp):
    write_pairs(6, size=(96, 128))
    code, out, err = run("audit", "data")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "No errors. Next: fastunet train data"
    assert "binary, 2 classes: background, foreground" in out
    assert {file.name for file in in_tmp.iterdir()} == {"data"}


def test_errors_end_in_exit_code_1_and_say_what_to_do(run, write_pairs):
    root = write_pairs(6, size=(96, 128))
    (root / "masks/02.png").write_bytes(b"")
    code, out, err = run("audit", "data")
    assert (code, err) == (1, "")
    assert "Errors (1)\n  empty-file: " in out
    assert "masks/02.png" in out
    assert "      -> Copy" in out
    assert out.splitlines()[-1] == "1 error to mend. Then: fastunet audit data"


def test_warnings_alone_are_no_failure_and_unpaired_files_are_told_once(run, write_pairs):
    root = write_pairs(6, size=(96, 128))
    cv2.imwrite(str(root / "images/lonely.png"), np.zeros((9, 9), np.uint8))
    code, out, err = run("audit", "data")
    assert (code, err) == (0, "")
    assert out.count("images/lonely.png") == 1


def test_json_is_one_object_and_nothing_else(run, write_pairs):
    root = write_pairs(6, size=(96, 128))
    assert run("audit", "data", "--json")[0] == 0
    (root / "masks/02.png").write_bytes(b"")
    code, out, _ = run("audit", "data", "--json", "--html", "page.html")
    assert code == 1
    said = json.loads(out)
    assert " ".join(said) == (
        "layout pairs splits task encoding classes void channels bit_depth sizes "
        "class_frequencies resolution findings"
    )
    assert said["findings"][0]["files"] == ["masks/02.png"]
    assert " ".join(said["findings"][0]) == "severity code message remedy files count"


def test_a_page_is_written_beside_the_report(run, write_pairs, in_tmp):
    write_pairs(6, size=(96, 128))
    code, out, _ = run("audit", "data", "--html", "page.html")
    assert code == 0
    assert "page.html" in out
    assert (in_tmp / "page.html").read_text().startswith("<!doctype html>")


def test_classes_void_and_folders_are_taken_as_in_train(run, write_pairs):
    root = write_pairs(6, (0, 1, 9), (96, 128))
    (root / "masks").rename(root / "truth")
    words = ("--images", "images", "--masks", "truth", "--classes", "soil=0,crop=1", "--void", 9)
    code, out, _ = run("audit", "data", "--json", *words)
    said = json.loads(out)
    assert (code, said["classes"], said["void"]) == (0, ["soil", "crop"], [9])
    assert run("audit", "data", "--json", *words[:4], "--classes", "soil=0,crop=1")[0] == 1


def test_instances_and_quick(run, write_pairs):
    root = write_pairs(6, (0, 1, 2), (96, 128))
    code, out, _ = run("audit", "data", "--json", "--instances")
    assert json.loads(out)["encoding"] == "instance map"
    (root / "masks/02.png").write_bytes(b"")
    code, out, _ = run("audit", "data", "--quick")
    assert code == 1
    assert "empty-file" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere is missing"),
        (["data/images"], "data/images"),
        (["data", "--images", "images"], "--masks beside --images"),
        (["data", "--classes", "a=0,b"], "--classes"),
        (["data", "--void", "#12"], "'#12' is no colour"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, write_pairs, words, message):
    write_pairs(4)
    code, out, err = run("audit", *words)
    assert (code, out) == (2, "")
    assert err.startswith("fastunet: error: ")
    assert message in err
    assert err.count("\n") == 1


def write_lines(root):
    """Lines one pixel wide on 256 pixels."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number in range(6):
        mask = np.zeros((256, 256), np.uint8)
        corners = np.random.default_rng(number).integers(0, 256, (9, 1, 2)).astype(np.int32)
        cv2.polylines(mask, [corners], False, 255, 1)
        cv2.imwrite(str(root / "images" / f"{number}.png"), mask // 2 + 60)
        cv2.imwrite(str(root / "masks" / f"{number}.png"), mask)


def test_the_size_that_train_would_take_is_judged(run, in_tmp):
    write_lines(in_tmp / "data")
    code, out, _ = run("audit", "data", "--size", 64)
    assert code == 0
    assert "resolution-loss: " in out
    assert "--patch 64" in out
    assert out.splitlines()[-1] == "No errors. Next: fastunet train data --size 64"
    for words in (("--patch", 64), ("--size", "256x288")):
        out = run("audit", "data", *words)[1]
        assert "resolution-loss" not in out
        assert out.splitlines()[-1].endswith(f"train data {words[0]} {words[1]}")


@pytest.mark.parametrize(
    "words", [("--size", 64, "--patch", 64), ("--size", "big"), ("--scale", 0.5)]
)
def test_what_the_network_sees_is_checked_as_in_train(run, in_tmp, words):
    write_lines(in_tmp / "data")
    code, out, err = run("audit", "data", *words)
    assert (code, out) == (2, "")
    assert words[0] in err


def test_training_says_what_its_size_loses(run, in_tmp):
    write_lines(in_tmp / "data")
    words = ("data", "--epochs", 1, "--width", 4, "--out")
    with pytest.warns(UserWarning, match="thin or small is lost: .* patch=64"):
        code, out, _ = run("train", *words, "whole", "--size", 64)
    assert code == 0
    assert "Detail:  resized to 64x64, masks allow a Dice of 0." in out
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*thin or small")
        code, out, _ = run("train", *words, "patches", "--patch", 64)
    assert code == 0
    assert "masks allow a Dice of 1.00" in out


def test_help_names_the_command(run):
    assert "--html" in run("audit", "--help")[1]
