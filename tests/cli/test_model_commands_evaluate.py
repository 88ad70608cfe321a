"""`fastunet evaluate` and `fastunet compare`, as a person types them."""

import csv
import json

import cv2
import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2)])
def test_the_table_is_that_of_the_masks_that_predict_writes(run, write_pairs, write_bundle, values):
    root = write_pairs(5, values, size=(30, 41))
    bundle = write_bundle(values=values, threshold=0.4)
    assert run("predict", bundle, root / "images", "--out", "p")[0] == 0
    code, out, err = run("evaluate", bundle, "data", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    stored, predicted = (
        np.concatenate([np.array(Image.open(file)).ravel() for file in sorted(folder.iterdir())])
        for folder in (root / "masks", root.parent / "p")
    )
    for index, row in enumerate(said["per_class"].values()):
        true, ours = stored == values[index], predicted == index
        union = np.count_nonzero(true | ours)
        assert row["iou"] == round(np.count_nonzero(true & ours) / union, 6)
    assert (said["split"], said["images"]) == ("all", 5)
    assert said["threshold"] == (0.4 if len(values) == 2 else None)

    code, out, _ = run("evaluate", bundle, "data")
    assert out.startswith("all: 5 images at their own size")
    assert f"Dice {said['dice']:.4f}" in out
    assert "bootstrap" in out


def test_a_folder_is_written_and_two_of_them_are_compared(run, write_pairs, write_bundle, in_tmp):
    write_pairs(4)
    for name, seed in (("a", 0), ("b", 1)):
        code, out, _ = run("evaluate", write_bundle(name, seed=seed), "data", "--out", f"{name}-e")
        assert code == 0
        assert f"{name}-e" in out.splitlines()[-1]
    with (in_tmp / "a-e/per_image.csv").open() as file:
        assert [row["image"] for row in csv.DictReader(file)] == [f"{i:02d}.png" for i in range(4)]
    assert cv2.imread(str(in_tmp / "a-e/evaluation.png")) is not None
    code, out, _ = run("compare", "a-e", "b-e/evaluation.json")
    assert code == 0
    assert "paired bootstrap resamples of the 4 images" in out
    said = json.loads(run("compare", "a-e", "b-e", "--json")[1])
    assert said["differences"][0]["score"] == "dice"


def test_the_part_groups_and_outlines_are_chosen(run, write_pairs, write_bundle, in_tmp):
    for part in ("train", "test"):
        write_pairs(4, folder=f"d/{part}")
    bundle = write_bundle()
    code, out, _ = run("evaluate", bundle, "d", "--groups", "^(.)", "--boundary")
    assert code == 0
    assert out.startswith("test: 4 images")
    assert "none: only one group of images" in out
    assert "HD95" in out
    assert run("evaluate", bundle, "d", "--split", "train")[1].startswith("train: 4 images")
    (in_tmp / "d/test/masks").rename(in_tmp / "d/test/truth")
    words = ("--images", "images", "--masks", "truth")
    assert run("evaluate", bundle, "d/test", *words)[1].startswith("all: 4 images")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "b", "nowhere"], "nowhere is missing"),
        (["evaluate", "data", "data"], "bundle.json was expected"),
        (["evaluate", "b", "data", "--split", "test"], "the data have no split"),
        (["evaluate", "b", "other"], "00.png holds 1 "),
        (["evaluate", "b", "data", "--groups", "auto"], "show no groups"),
        (["compare", "b", "b"], "evaluation.json does not exist"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, write_pairs, write_bundle, words, message):
    write_pairs(4)
    write_pairs(4, (0, 1), folder="other")
    write_bundle()
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("fastunet: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_help_names_the_options(run):
    assert "--boundary" in run("evaluate", "--help")[1]
