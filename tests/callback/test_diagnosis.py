"""Diagnoses stay in a file, whatever numbers they hold."""

import json
import math

import pytest

from fastunet.callback.diagnosis import Diagnosis, load_diagnoses, save_diagnoses
from fastunet.errors import OutputError


def test_what_is_saved_is_read_again(tmp_path):
    found = [Diagnosis("overfitting", "It rose.", "Stop.", {"epoch": 3, "range": [0.5, 1.0]})]
    save_diagnoses(found, tmp_path / "diagnoses.json")
    assert load_diagnoses(tmp_path / "diagnoses.json") == found
    assert str(found[0]) == "overfitting: It rose. Stop."


def test_numbers_that_are_not_finite_are_texts_in_json(tmp_path):
    save_diagnoses([Diagnosis("a", "b", "c", {"norm": math.inf})], tmp_path / "d.json")
    document = json.loads((tmp_path / "d.json").read_text())
    assert document["diagnoses"][0]["evidence"] == {"norm": "inf"}


def test_without_a_file_there_are_none_and_a_damaged_one_is_named(tmp_path):
    assert load_diagnoses(tmp_path / "no.json") == []
    (tmp_path / "d.json").write_text('{"diagnoses": [{"nam')
    with pytest.raises(OutputError, match=r"d\.json is cut short"):
        load_diagnoses(tmp_path / "d.json")
