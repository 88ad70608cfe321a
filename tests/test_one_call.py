"""`fastunet.train`: a folder in, a model with its scores out, and a stopped run goes on."""

import numpy as np
import pytest

import fastunet
from fastunet.errors import OptionError
from fastunet.plan import Plan

TINY = {"size": 32, "bs": 2, "width": 2, "epochs": 1}


def test_a_folder_becomes_a_model_in_one_call(write_pairs, in_tmp):
    root = write_pairs(8)
    run = fastunet.train(root, **TINY)
    assert run.folder == in_tmp / "runs/data-1" or run.folder.name == "data-1"
    assert run.scores.split == "valid"
    assert run.plan.input.size == (32, 32)
    mask = run.segmenter().predict(next((root / "images").iterdir()))
    assert mask.dtype == np.uint8
    assert f"{run.scores.dice:.4f}" in str(run)


def test_what_was_chosen_has_its_reason_and_what_was_asked_for_has_none(write_pairs, in_tmp):
    run = fastunet.train(write_pairs(8), out="r", **TINY)
    fields = [one.field for one in run.reasons]
    assert "augment" in fields
    assert not {"size", "patch", "bs"} & {*fields}
    assert all(one.reason and one.fact for one in run.reasons)
    assert run.plan == Plan.load(in_tmp / "r/plan.json")


def test_data_and_resume_exclude_each_other(in_tmp):
    with pytest.raises(OptionError, match="one or the other"):
        fastunet.train()
    with pytest.raises(OptionError, match="only minutes="):
        fastunet.train(resume="r", size=32)
    with pytest.raises(OptionError, match="own folder"):
        fastunet.train(resume="r", out="s")
