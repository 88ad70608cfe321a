"""An evaluation: its intervals, its dictionary, its folder."""

import csv
import json

import cv2
import numpy as np
import pytest

from fastunet.evaluation.result import Evaluation


def test_the_interval_of_each_class_is_that_of_plain_resampling(scored):
    result = scored(classes=3)
    rng, ious = np.random.default_rng(0), []
    for _ in range(200):
        drawn = rng.integers(6, size=6)
        tp, fp, fn = (counts[drawn].sum(0) for counts in result.outcomes)
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


def test_a_folder_holds_json_tables_and_a_picture(scored, tmp_path):
    result = scored(classes=3, boundary=True)
    folder = result.save(tmp_path / "a" / "b")
    names = {"evaluation.json", "per_image.csv", "per_class.csv", "evaluation.png"}
    assert {file.name for file in folder.iterdir()} == names
    assert str(Evaluation.load(folder)) == str(result)
    assert cv2.imread(str(folder / "evaluation.png")) is not None
    images, classes = (
        list(csv.DictReader((folder / name).open())) for name in ("per_image.csv", "per_class.csv")
    )
    assert [row["image"] for row in images] == list(result.names)
    assert sum(int(row["cell tp"]) for row in images) == result.outcomes.tp[:, 1].sum()
    assert [float(row["dice"]) for row in images] == pytest.approx(list(result.per_image["dice"]))
    assert [row["name"] for row in classes] == ["background", "cell", "wall"]
    assert float(classes[1]["iou_low"]) < float(classes[1]["iou"]) < float(classes[1]["iou_high"])
    assert result.to_frame().shape[0] == 6
    assert result.per_class_frame().shape[0] == 3
