"""Few images: each is scored by a model that has not seen it; the one that is kept saw all."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastunet
from fastunet import cross_validation
from fastunet.errors import FastunetWarning, OptionError
from fastunet.evaluation.evaluate import evaluate
from fastunet.inference import Segmenter
from fastunet.plan import Plan

TINY = {"size": 32, "bs": 2, "arch": "unet", "width": 4, "device": "cpu", "folds": 3}


def test_every_image_is_scored_once_by_a_model_that_was_trained_on_the_others(write_pairs, in_tmp):
    run = fastunet.train(write_pairs(9), out="r", epochs=2, **TINY)
    assert run.scores.split == "cross-validated"
    assert run.scores.images == 9
    table = pd.read_csv("r/folds.csv")
    assert sorted(table.fold.value_counts()) == [3, 3, 3]
    for number in (1, 2, 3):
        names = table[table.fold == number].image.tolist()
        model = Segmenter.load(f"r/folds/{number}/best")
        model.threshold = run.scores.threshold
        pairs = [p for p in fastunet.find_pairs("data") if p.image.name in names]
        own = evaluate(model, pairs, "all")
        told = table[table.fold == number].sort_values("image").dice
        order = np.argsort(own.names)
        np.testing.assert_allclose(own.per_image["dice"][order], told, atol=1e-6)


def test_the_model_that_is_kept_is_trained_on_all(write_pairs, in_tmp, capsys):
    fastunet.train(write_pairs(9), out="r", epochs=1, **TINY)
    split = json.loads((in_tmp / "r/split.json").read_text())
    assert len(split["train"]) == 9
    assert not split["valid"]
    document = json.loads((in_tmp / "r/bundle.json").read_text())
    assert document["training"]["folds"] == 3
    assert document["metrics"]["split"] == "cross-validated"
    assert not (in_tmp / "r/results.png").exists()  # it would show images that were learned
    with pytest.warns(FastunetWarning, match="trained on all of these"):
        evaluate("r", "data")
    assert "had not seen it" in capsys.readouterr().out


def test_a_run_that_was_stopped_among_its_folds_goes_on_with_the_next(
    write_pairs, in_tmp, monkeypatch
):
    train, trained = cross_validation._train, []

    def stopped_in_the_second(plan, data, folder, *how):
        if len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(folder)
        return train(plan, data, folder, *how)

    root = write_pairs(9)
    with monkeypatch.context() as patched:
        patched.setattr(cross_validation, "_train", stopped_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            fastunet.train(root, out="r", epochs=1, **TINY)
    [first] = Path("r").glob("folds/1/best/*.safetensors")
    before = first.stat().st_mtime_ns
    run = fastunet.train(resume="r")
    assert run.scores.images == 9
    assert first.stat().st_mtime_ns == before


def test_folds_that_contradict_other_options_are_refused(in_tmp):
    for other in ({"fold": (0, 3)}, {"split": "split.json"}, {"better_than": "old"}):
        with pytest.raises(OptionError, match="folds"):
            Plan.of(data="data", folds=3, **other)
    with pytest.raises(OptionError, match="20 at most"):
        Plan.of(data="data", folds=21)
