"""A run: its plan is written down, and repeats it bit for bit."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fastunet import training
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.evaluation.evaluate import best_threshold, evaluate
from fastunet.finish import score
from fastunet.inference import Segmenter
from fastunet.learner import segmentation_learner
from fastunet.plan import Plan
from fastunet.runs.run_folder import RunFolder

SMALL = {"width": 4, "bs": 4}


def trained(plan: Plan, out) -> tuple[dict[str, torch.Tensor], Plan]:
    """The weights of a run, and the plan that it wrote."""
    with RunFolder.claim(out) as folder:
        training.train(plan, folder)
    return load_file(out / "model.safetensors"), Plan.load(out / "plan.json")


@pytest.mark.parametrize(
    "how",
    [
        {"size": 32, "epochs": 2},
        {"size": 32, "epochs": 1, "lr": "auto", "lr_batches": 10},
        {"patch": 16, "minutes": 0.08},
        {"size": 32, "minutes": 0.1, "lr": "auto", "lr_batches": 6},
        {"size": 32, "epochs": 1, "arch": "test_resnet", "pretrained": False, "width": None},
        {"size": 32, "epochs": 2, "accumulate": 2, "clip": 0.5, "micro_batch": 1},
        {"size": 32, "epochs": 1, "bs": "auto"},
    ],
    ids=[
        *("epochs", "lr_find", "the clock", "the clock and lr_find", "an encoder"),
        *("batches in parts", "a measured batch size"),
    ],
)
def test_a_plan_that_was_written_repeats_its_run_bit_for_bit(write_pairs, in_tmp, how):
    write_pairs(10, size=(40, 48))
    first, written = trained(Plan.of(data="data", **SMALL | how), in_tmp / "a")
    again, unchanged = trained(written, in_tmp / "b")
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert unchanged.to_json() == written.to_json()


def test_a_run_may_end_early(write_pairs, in_tmp, capsys):
    write_pairs(8)
    plan = Plan.of(data="data", size=32, epochs=60, patience=1, **SMALL)
    with RunFolder.claim(in_tmp / "a") as folder:
        training.train(plan, folder)
    rows = (in_tmp / "a/history.csv").read_text().splitlines()
    assert "Stopped early: 1 epoch without a better one." in capsys.readouterr().out
    assert len(rows) < 60


def test_a_plan_holds_what_was_decided(write_pairs, in_tmp):
    write_pairs(8)
    _, plan = trained(Plan.of(data="data", arch="unet", size=32, epochs=1), in_tmp / "a")
    assert plan.files.data == in_tmp / "data"
    assert (plan.input.size, plan.input.bs, plan.input.augment) == ((32, 32), 2, "free")
    assert (plan.fit.epochs, plan.fit.lr, plan.fit.device) == (1, 0.003, "cpu")
    assert plan.fit.threads == torch.get_num_threads()
    assert plan.fit.precision in ("bf16", "fp32")
    assert plan.model.width == 16


def test_other_options_beside_a_plan_take_the_place_of_its_own(run, write_pairs, in_tmp):
    write_pairs(8)
    words = ("--size", 32, "--bs", 2, "--width", 4)
    assert run("train", "data", "--minutes", 0.03, *words, "--out", "a")[0] == 0
    code, out, _ = run("train", "--plan", "a/plan.json", "--out", "b")
    assert code == 0
    assert "as the clock had them before" in out
    same = [load_file(in_tmp / name / "model.safetensors") for name in "ab"]
    assert all(torch.equal(one, other) for one, other in zip(*map(dict.values, same), strict=True))
    code, out, _ = run("train", "--plan", "a/plan.json", "--epochs", 1, "--patch", 16)
    assert code == 0
    assert "Training for 1 epochs" in out
    assert "patches of 16x16" in out
    plan = Plan.load(in_tmp / "runs/data-1/plan.json")
    assert (plan.fit.minutes, plan.input.size, plan.input.bs) == (None, None, 2)


def test_a_plan_that_is_damaged_or_missing_is_one_line(run, in_tmp):
    (in_tmp / "plan.json").write_text('{"format": 1, "fit": {"epoch": 3}}')
    code, out, err = run("train", "--plan", "plan.json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "did you mean epochs?" in err
    assert "no.json cannot be read" in run("train", "--plan", "no.json")[2]
    assert "DATA is missing" in run("train")[2]


# --- scores ---------------------------------------------------------------------------------------


def test_validation_is_predicted_once_with_the_same_scores(write_pairs, monkeypatch):
    root = write_pairs(10)
    dls = ImageMaskDataLoaders.from_folder(root, size=32, bs=2, device="cpu", progress=False)
    learn = segmentation_learner(dls, width=4)
    valid = dls.pairs["valid"]
    threshold = best_threshold(learn, valid)
    learn.threshold = threshold
    expected = evaluate(learn, valid, "valid")
    learn.threshold = 0.5

    predicted = []
    predict = Segmenter.probabilities

    def counted(self, image=None, **channels) -> np.ndarray:
        predicted.append(image)
        return predict(self, image, **channels)

    monkeypatch.setattr(Segmenter, "probabilities", counted)
    scores = score(learn)
    assert len(predicted) == len(valid)
    assert learn.threshold == threshold
    assert scores["valid"].to_dict() == expected.to_dict()
