"""`autopsy` says why masks are bad, the most likely cause first."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from fastai.torch_core import set_seed

from fastunet.causes.autopsy import autopsy
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import BundleError, EvaluationError, FastunetWarning
from fastunet.learner import segmentation_learner
from fastunet.losses import PixelCrossEntropyLoss


def learner(root, size=32, options=None, **kwargs):
    set_seed(0)
    dls = ImageMaskDataLoaders.from_folder(
        root, size=size, bs=4, device="cpu", progress=False, **(options or {})
    )
    learn = segmentation_learner(
        dls, **{"width": 4, "depth": 2, "precision": "fp32", "save_best": False, **kwargs}
    )
    learn.create_mbar = False
    learn.logger = lambda *_: None
    return learn


def names(found):
    return [cause.name for cause in found.causes]


def test_a_good_model_has_masks_that_only_look_black(write_pairs, in_tmp):
    learn = learner(write_pairs(10, size=(32, 32)), width=8)
    learn.fit_one_cycle(12, 1e-2)
    found = autopsy(learn)
    assert found.symptom.startswith("Dice is 0.")
    assert "class-indices-look-black" in names(found)
    assert {"data", "codec", "loss", "rate", "resolution"} <= set(found.in_order)
    assert all(cause.likelihood < 0.5 for cause in found.causes)


def test_the_causes_are_those_of_the_guard_first_what_explains_most(write_pairs, in_tmp):
    learn = learner(write_pairs(10, size=(32, 32)))
    with torch.no_grad():
        list(learn.model.parameters())[-1].fill_(-20.0)
    with pytest.warns(FastunetWarning, match="one-class-predicted"):
        learn.fit(3, 1e-7)
    found = autopsy(learn)
    assert "0 % of the pixels are predicted as foreground" in found.symptom
    assert names(found)[0] == "unusual-rate"
    assert "few-batches" in names(found)
    likelihoods = [cause.likelihood for cause in found.causes]
    assert likelihoods == sorted(likelihoods, reverse=True)


def test_masks_that_are_read_as_void(write_pairs, in_tmp):
    root = write_pairs(10, size=(32, 32))
    for file in sorted((root / "masks").iterdir())[2:]:  # two are as they should be
        mask = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(file), np.where(mask == 255, 1, mask).astype(np.uint8))
    classes = {"background": 0, "cell": 255}
    learn = learner(root, options={"classes": classes, "unknown": "void"})
    found = autopsy(learn)
    assert (found.causes[0].aspect, names(found)[0]) == ("codec", "masks-read-as-void")
    assert found.missing["training length"].startswith("the learner has not been trained")


def test_a_threshold_far_from_the_best(write_pairs, in_tmp):
    learn = learner(write_pairs(10, size=(32, 32)), width=8)
    learn.fit_one_cycle(12, 1e-2)
    learn.threshold = 0.9999
    first = autopsy(learn).causes[0]
    assert (first.aspect, first.name) == ("threshold", "threshold")
    assert first.evidence["best_dice"] > first.evidence["dice"] + 0.05


def test_thin_lines_that_the_size_loses(tmp_path, in_tmp):
    for part in ("images", "masks"):
        (tmp_path / "lines" / part).mkdir(parents=True)
    for i in range(8):
        mask = np.zeros((256, 256), np.uint8)
        for at in range(10 + i, 250, 40):
            mask[:, at] = 255
        cv2.imwrite(str(tmp_path / "lines/images" / f"{i}.png"), 255 - mask)
        cv2.imwrite(str(tmp_path / "lines/masks" / f"{i}.png"), mask)
    with pytest.warns(FastunetWarning, match="thin or small is lost"):
        learn = learner(tmp_path / "lines")
    cause = next(one for one in autopsy(learn).causes if one.aspect == "resolution")
    assert "patch=32" in cause.advice
    assert cause.evidence["best_dice"] < 0.8


def test_a_loss_by_pixels_where_the_foreground_is_rare(tmp_path, in_tmp):
    for part in ("images", "masks"):
        (tmp_path / "rare" / part).mkdir(parents=True)
    for i in range(8):
        mask = np.zeros((64, 64), np.uint8)
        mask[10:16, 4 * i : 4 * i + 6] = 255
        cv2.imwrite(str(tmp_path / "rare/images" / f"{i}.png"), mask // 2)
        cv2.imwrite(str(tmp_path / "rare/masks" / f"{i}.png"), mask)
    learn = learner(tmp_path / "rare", size=64, loss_func=PixelCrossEntropyLoss())
    found = autopsy(learn)
    assert ("loss", "loss-by-pixels") in {(one.aspect, one.name) for one in found.causes}
    weighted = PixelCrossEntropyLoss(class_weights=[1.0, 50.0])
    found = autopsy(learner(tmp_path / "rare", size=64, loss_func=weighted))
    assert "loss" in found.in_order


def test_it_is_a_table_in_a_notebook(write_pairs, in_tmp):
    found = autopsy(learner(write_pairs(10, size=(32, 32))))
    shown = found._repr_html_()
    assert shown.count("<tr>") == 1 + len(found.causes)
    assert json.loads(json.dumps(found.to_dict()))["causes"][0]["name"] == names(found)[0]


def test_only_a_learner_or_a_run_has_one(in_tmp):
    with pytest.raises(EvaluationError, match="int has no autopsy"):
        autopsy(3)
    with pytest.raises(BundleError):
        autopsy(in_tmp)


def test_a_run_keeps_its_diagnoses_and_has_an_autopsy(run, write_pairs, in_tmp):
    root = write_pairs(4, size=(32, 32), folder="data/valid").parent
    for file in (write_pairs(8, size=(32, 32), folder="data/train") / "masks").iterdir():
        cv2.imwrite(str(file), np.zeros((32, 32), np.uint8))
    words = ("--size", 32, "--bs", 4, "--width", 4, "--epochs", 2)
    with pytest.warns(FastunetWarning, match="no-foreground: the 8 training masks") as told:
        code, out, err = run("train", root, *words, "--out", "r")
    assert code == 0
    assert sum("no-foreground" in str(one.message) for one in told) == 1
    kept = json.loads((in_tmp / "r/diagnoses.json").read_text())["diagnoses"]
    assert [one["name"] for one in kept] == ["no-foreground"]
    assert "Diagnosed: no-foreground. What to try is in r/diagnoses.json; fastunet autopsy r" in out

    code, out, err = run("autopsy", "r")
    assert (code, err) == (0, "")
    assert out.startswith("Autopsy of r\nDice is ")
    assert "1. data: " in out
    assert "trained for 4 batches in 2 epochs" in out

    moved = in_tmp / "moved"
    shutil.move(root, moved)
    found = autopsy("r")
    assert "data" in found.missing
    assert names(found)[0] == "no-foreground"
    assert "masks-are-empty" in names(autopsy("r", data=moved))
    assert json.loads(run("autopsy", "r", "--json")[1])["causes"][0]["aspect"] == "data"
    with pytest.warns(FastunetWarning, match="no-foreground"):
        code, out, err = run("train", moved, *words, "--out", "r", "--overwrite")
    assert code == 0
    assert "Files that are not" not in out
