"""The plain rows of an evaluation."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from fastunet.evaluation.score_types import BOUNDARY
from fastunet.metrics import boundary_iou, hausdorff95, surface_dice


def test_measures_of_outlines_come_in_the_order_of_their_names(masks, scored):
    measures = {"hd95": hausdorff95, "surface_dice": surface_dice, "boundary_iou": boundary_iou}
    ((_, predicted, truth, _),) = masks(1)
    outlines = scored(1, boundary=True).outlines
    assert tuple(outlines) == BOUNDARY
    for name, measure in measures.items():
        assert outlines[name] == pytest.approx(measure(predicted, truth, 2))


def test_a_class_and_the_worth_of_probabilities_are_plain_values(scored):
    result = scored(classes=3)
    for row in (*result.per_class, result.probabilities):
        assert json.loads(json.dumps(asdict(row))).keys() == asdict(row).keys()
        assert replace(row) == row
    assert np.mean([row.iou for row in result.per_class]) == pytest.approx(result.mean_iou)
