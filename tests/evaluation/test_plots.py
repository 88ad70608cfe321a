"""Scores as a picture."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest

from fastunet.evaluation import plots
from fastunet.evaluation.score_types import Probabilities


def test_the_picture_has_a_panel_for_each_question(scored):
    def titles(evaluation):
        return [axis.get_title() for axis in evaluation.plot().axes if axis.axison]

    assert len(titles(scored())) == 5
    assert titles(scored())[-1] == "Threshold"
    assert titles(scored(classes=4))[-1].startswith("Reliability")
    assert titles(scored(probabilities=False)) == [
        "Share of the true pixels",
        "IoU by class, 95 % intervals",
        "Images one by one",
    ]


@pytest.fixture
def axis():
    """Empty axes."""
    figure, axis = plt.subplots()
    yield axis
    plt.close(figure)


def test_the_confusion_numbers_the_shares_of_each_true_class_and_leaves_absent_ones_blank(axis):
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 5, 5]])
    plots.confusion_panel(counts, ["sky", "road", "car"], axis)
    texts = {text.get_position(): text.get_text() for text in axis.texts}
    assert texts == {
        (0, 0): "0.75",
        (1, 0): "0.25",
        (2, 0): "0.00",
        (0, 2): "0.00",
        (1, 2): "0.50",
        (2, 2): "0.50",
    }
    assert [label.get_text() for label in axis.get_yticklabels()] == ["sky", "road", "car"]


def test_empty_bins_and_thresholds_without_a_score_leave_gaps(axis):
    found = Probabilities(0.1, 0.2, (4, 0, 6), (0.4, None, 0.9), (0.5, None, 1.0))
    plots.reliability_panel(found, axis)
    np.testing.assert_array_equal(axis.lines[1].get_xydata(), [[0.4, 0.5], [0.9, 1.0]])
    plots.threshold_panel((None, 0.5), None, axis)
    np.testing.assert_array_equal(axis.lines[2].get_xydata(), [[0, np.nan], [0.5, 0.5]])


def test_images_without_a_score_are_in_no_bar(axis):
    plots.image_panel(np.array([np.nan, 0.5, 1.0]), 0.75, axis)
    assert sum(bar.get_height() for bar in axis.patches) == 2
    assert axis.lines[0].get_xdata() == [0.75, 0.75]


@pytest.mark.parametrize(("panels", "shape"), [(3, (1, 3)), (4, (2, 2)), (5, (2, 3))])
def test_panels_stand_in_columns_and_the_rest_is_empty(panels, shape):
    figure = plots.draw("all", [partial(plots.image_panel, np.ones(3), 1.0)] * panels)
    assert figure.axes[0].get_gridspec().get_geometry() == shape
    assert sum(axis.axison for axis in figure.axes) == panels
    assert plots.as_png(figure).startswith(b"\x89PNG")
    assert not plt.fignum_exists(figure.number)
