"""A new model takes the place of an old one only where it is better beyond chance."""

import json

import pytest

import fastunet
from fastunet.better_than import on_the_same_split
from fastunet.evaluation.evaluate import evaluate
from fastunet.evaluation.result import Evaluation
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle
from fastunet.pairs.find import find_pairs
from fastunet.plan import Plan

TINY = {"size": 32, "bs": 2, "arch": "unet", "device": "cpu"}


def weights(folder):
    return Bundle.load(folder).weights["head.bias"].tolist()


def test_a_worse_model_does_not_take_the_place_of_the_old_one(write_pairs, in_tmp, capsys):
    root = write_pairs(12)
    old = fastunet.train(root, out="old", epochs=12, lr=0.01, width=8, **TINY)
    new = fastunet.train(root, out="new", epochs=1, lr=1e-6, width=2, better_than="old", **TINY)
    assert "the new one is not better" in capsys.readouterr().out
    assert weights("new") == weights("old") != weights("new/challenger")
    assert new.scores.dice == old.scores.dice
    saved = Evaluation.load("new/evaluation")
    assert saved.threshold == Segmenter.load("new").threshold  # the scores of what is kept
    assert saved.to_dict() == evaluate("new", root, "valid").to_dict()


@pytest.mark.slow
def test_a_better_model_takes_it(write_pairs, in_tmp, capsys):
    root = write_pairs(12)
    fastunet.train(root, out="old", epochs=1, lr=1e-6, width=2, **TINY)
    new = fastunet.train(root, out="new", epochs=12, lr=0.01, width=8, better_than="old", **TINY)
    assert "Kept: the new model" in capsys.readouterr().out
    assert not (in_tmp / "new/challenger").exists()
    assert weights("new") != weights("old")
    assert new.scores.dice > 0.5


def test_both_are_judged_by_images_that_neither_was_trained_on(write_pairs, in_tmp):
    root = write_pairs(12)
    fastunet.train(root, out="old", epochs=1, seed=7, width=2, **TINY)
    fastunet.train(root, out="new", epochs=1, width=2, better_than="old", **TINY)
    splits = [json.loads((in_tmp / name / "split.json").read_text()) for name in ("old", "new")]
    assert splits[0] == splits[1]


def test_an_old_model_of_other_images_is_warned_of(write_pairs, in_tmp, recwarn):
    root = write_pairs(8)
    plan = Plan.of(data=root)
    (in_tmp / "old").mkdir()
    assert on_the_same_split(plan, in_tmp / "old", find_pairs(root)) == plan
    assert any("may have been trained on" in str(one.message) for one in recwarn.list)
