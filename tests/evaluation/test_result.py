"""An evaluation as a table, as JSON, as a picture."""

import csv
import json

import cv2
import numpy as np
import pytest

from fastunet.errors import EvaluationError
from fastunet.evaluation.result import Evaluation


@pytest.mark.parametrize(
    ("classes", "words"),
    [(2, "(foreground)"), (4, "(mean over classes)")],
)
def test_the_table_says_what_its_numbers_mean(scored, classes, words):
    text = str(scored(classes=classes))
    for said in (
        "test: 6 images at their own size", "pixels counted over all", "void left out",
        "absent classes left out of means", words, "(mean over images)", "expected calibration",
        "95 % percentile intervals from 200 bootstrap resamples of the 6 images, seed 0",
        "worst Dice: ",
    ):  # fmt: skip
        assert said in text
    assert ("above the threshold 0.5" in text) == (classes == 2)
    assert ("the most probable class" in text) == (classes == 4)
    assert ("objects: " in text) == (classes == 2)
    assert "HD95" not in text
    assert "HD95" in str(scored(boundary=True))


def test_intervals_say_that_they_are_of_groups_or_that_there_are_none(scored):
    grouped = scored(groups=["a", "a", "b", "b", "c", "c"])
    assert "of the 3 groups of images" in str(grouped)
    for single, why in (
        (scored(1), "none: only one image"),
        (scored(groups=["a"] * 6), "none: only one group of images"),
        (scored(resamples=0), "none: not asked for"),
    ):
        assert f"intervals: {why}" in str(single)
        assert single.intervals["dice"] is None
        assert single.per_class[0].iou_interval is None
        assert single.to_dict()["intervals"]["dice"] is None


def test_the_interval_of_each_class_is_that_of_plain_resampling(scored):
    result = scored(classes=3)
    rng, ious = np.random.default_rng(0), []
    for _ in range(200):
        tp, fp, fn = result.outcomes[rng.integers(6, size=6)].sum(0).T
        ious.append(tp / (tp + fp + fn))
    low, high = np.percentile(ious, (2.5, 97.5), axis=0)
    for index, row in enumerate(result.per_class):
        assert row.iou_interval == pytest.approx((low[index], high[index]))
        assert row.iou_interval[0] < row.iou < row.iou_interval[1]
    expected = np.percentile(np.mean(ious, axis=1), (2.5, 97.5))
    assert result.intervals["mean_iou"] == pytest.approx(tuple(expected))


def test_the_dictionary_keeps_the_keys_that_bundles_have(scored):
    said = json.loads(json.dumps(scored().to_dict(), allow_nan=False))
    assert said["resolution"] == "the images' own size"
    assert said["reduction"] == "pixels counted over all images; foreground"
    assert {"split", "images", "dice", "mean_iou", "pixel_accuracy", "threshold"} <= said.keys()
    assert said["per_class"]["cell"]["iou"] == said["mean_iou"]
    assert said["objects"]["found"] > 0
    assert "objects" not in scored(classes=3).to_dict()
    assert "calibration" not in scored(probabilities=False).to_dict()


@pytest.mark.parametrize(
    "kind",
    [
        {}, {"classes": 5, "boundary": True}, {"groups": list("aabbcc")}, {"n": 0},
        {"probabilities": False, "resamples": 7},
    ],
)  # fmt: skip
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


def test_a_folder_holds_json_tables_and_a_picture(scored, tmp_path):
    result = scored(classes=3, boundary=True)
    folder = result.save(tmp_path / "a" / "b")
    assert {file.name for file in folder.iterdir()} == {
        "evaluation.json", "per_image.csv", "per_class.csv", "evaluation.png"
    }  # fmt: skip
    assert str(Evaluation.load(folder)) == str(result)
    assert cv2.imread(str(folder / "evaluation.png")) is not None
    images, classes = (
        list(csv.DictReader((folder / name).open())) for name in ("per_image.csv", "per_class.csv")
    )
    assert [row["image"] for row in images] == list(result.names)
    assert sum(int(row["cell tp"]) for row in images) == result.outcomes[:, 1, 0].sum()
    assert [float(row["dice"]) for row in images] == pytest.approx(list(result.per_image["dice"]))
    assert [row["name"] for row in classes] == ["background", "cell", "wall"]
    assert float(classes[1]["iou_low"]) < float(classes[1]["iou"]) < float(classes[1]["iou_high"])
    assert result.to_frame().shape[0] == 6
    assert result.per_class_frame().shape[0] == 3


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


def test_the_picture_has_a_panel_for_each_question(scored):
    def titles(evaluation):
        return [axis.get_title() for axis in evaluation.plot().axes if axis.axison]

    assert len(titles(scored())) == 5
    assert titles(scored())[-1] == "Threshold"
    assert titles(scored(classes=4))[-1].startswith("Reliability")
    assert titles(scored(probabilities=False)) == [
        "Share of the true pixels", "IoU by class, 95 % intervals", "Images one by one"
    ]  # fmt: skip
