"""An evaluation as JSON and back."""

import json

import numpy as np
import pytest

from fastunet.errors import EvaluationError
from fastunet.evaluation.bootstrap import Bootstrap
from fastunet.evaluation.result import Evaluation
from fastunet.evaluation.serialise import plain
from fastunet.metrics import ObjectCounts


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"classes": 5, "boundary": True},
        {"groups": list("aabbcc")},
        {"n": 0},
        {"probabilities": False, "resamples": 7},
    ],
)
def test_what_is_written_is_read_again(scored, tmp_path, kind):
    result = scored(**kind)
    text = result.to_json(tmp_path / "e.json")
    again = Evaluation.load(tmp_path / "e.json")
    assert (tmp_path / "e.json").read_text() == text + "\n"
    assert again.to_json() == text
    assert str(again) == str(result)
    assert again.bootstrap == result.bootstrap
    np.testing.assert_array_equal(again.outcomes, result.outcomes)
    if result.boundary is not None:
        np.testing.assert_array_equal(again.boundary, result.boundary)


OLD = {
    "format": 1,
    "split": "valid",
    "threshold": 0.5,
    "objects": {"found": 1, "missed": 0, "merged": 0, "split": 0, "predicted": 1, "invented": 0},
    "intervals": {"method": "none: not asked for", "resamples": 0, "seed": 3, "confidence": 0.9},
    "data": {
        "classes": ["off", "on"],
        "names": ["a.png", "b.png"],
        "groups": ["", "g"],
        "outcomes": [[[5, 1, 2], [4, 2, 1]], [[9, 0, 0], [0, 0, 0]]],
        "pixels": [12, 9],
        "confusion": [[14, 2], [1, 4]],
        "probabilities": [0.25, None, [1, 0], [0.75, None], [0.5, None], [None, 0.5]],
        "boundary": [[[1.0, 0.5, 0.25], [None, 0.0, 0.0]], [[None] * 3, [None] * 3]],
    },
}


def test_a_file_of_an_earlier_version_can_be_read(tmp_path):
    (tmp_path / "evaluation.json").write_text(json.dumps(OLD))
    found = Evaluation.load(tmp_path)
    assert (found.split, found.classes, found.names) == ("valid", ("off", "on"), ("a.png", "b.png"))
    assert (found.groups, found.threshold) == (("", "g"), 0.5)
    assert [each.tolist() for each in found.outcomes] == [
        [[5, 4], [9, 0]],
        [[1, 2], [0, 0]],
        [[2, 1], [0, 0]],
    ]
    assert found.pixels.tolist() == [12, 9]
    assert found.dice == pytest.approx(8 / 11)
    assert found.objects == ObjectCounts(found=1, predicted=1)
    assert found.bootstrap == Bootstrap(0, seed=3, confidence=0.9)
    assert found.probabilities.calibration_error == 0.25
    assert np.isnan(found.probabilities.brier)
    assert found.probabilities.threshold_dice == (None, 0.5)
    assert found.outlines["surface_dice"].tolist() == [0.5, 0]
    assert json.loads(found.to_json())["data"] == OLD["data"]


def test_plain_values_have_no_tuples_and_no_nan():
    value = {"a": (1, np.nan, 0.12345678), "b": ObjectCounts()}
    plain_value = plain(value, 3)
    assert plain_value["a"] == [1, None, 0.123]
    assert plain_value["b"]["found"] == 0
    assert plain(value)["a"][2] == 0.12345678


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"e\.json does not exist"),
        ("", r"e\.json is cut short"),
        ("[1]", "no evaluation"),
        ('{"format": 1}', "KeyError: 'data'"),
        ('{"format": 2, "data": {}}', "newer than this fastunet"),
    ],
)
def test_a_file_that_is_no_evaluation_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "e.json").write_text(content)
    with pytest.raises(EvaluationError, match=message):
        Evaluation.load(tmp_path / "e.json")


def test_counts_that_are_cut_short_are_refused(scored, tmp_path):
    document = json.loads(scored().to_json())
    document["data"]["outcomes"].pop()
    (tmp_path / "e.json").write_text(json.dumps(document))
    with pytest.raises(EvaluationError, match="cut short"):
        Evaluation.load(tmp_path / "e.json")
