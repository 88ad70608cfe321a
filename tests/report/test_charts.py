"""Charts: they are well-formed, small, and show what they are given."""

import math
import re
from xml.etree import ElementTree

import pytest

from fastunet.report.charts import Line, Mark, bar_chart, line_chart, scatter_chart


def texts(svg) -> list[str]:
    return [one.text for one in ElementTree.fromstring(str(svg)).iter("text")]


def test_a_chart_is_small_svg_with_names_ticks_and_marks():
    line = Line("a <b> & c", [(i, i * i) for i in range(50)])
    svg = line_chart("Loss", "epoch", [line], marks=[Mark(10, "kept")])
    assert {"a <b> & c", "epoch", "kept", "0", "2000"} <= {*texts(svg)}
    assert len(svg) < 5000
    assert "<b>" not in svg


def test_a_larger_value_is_higher_up_and_a_later_one_further_right():
    svg = line_chart("", "", [Line("", [(0, 0), (1, 1)])])
    path = next(one for one in ElementTree.fromstring(str(svg)).iter("path")).get("d")
    (x0, y0), (x1, y1) = ((float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path))
    assert x1 > x0
    assert y1 < y0


def test_values_that_are_not_finite_break_the_curve():
    points = [(0, 1.0), (1, 2.0), (2, math.nan), (3, 1.0), (4, math.inf), (5, 1.5)]
    path = re.search(r'd="([^"]+)"', str(line_chart("", "", [Line("", points)])))[1]
    assert path.count("M") == 3
    assert "nan" not in path
    assert "inf" not in path


@pytest.mark.parametrize("values", [[5.0], [3.0, 3.0], [1e-9, 2e-9], [-4.0, 1e6], [0.0]])
def test_any_values_have_ticks(values):
    svg = line_chart("", "x", [Line("", list(enumerate(values)))])
    assert 2 < len(texts(svg)) < 25


def test_without_a_value_there_is_no_chart():
    assert line_chart("", "", [Line("a", [(0, math.nan)])]) == ""
    assert line_chart("", "", []) == ""
    assert bar_chart("", "", [], (0, 1)) == ""
    assert bar_chart("", "", [0, 0], (0, 1)) == ""


def test_bars_count_whole_things():
    svg = bar_chart("", "Dice", [0, 1, 2], (0.0, 1.0), marks=[Mark(0.5, "median")])
    root = ElementTree.fromstring(str(svg))
    heights = [float(one.get("height")) for one in root.iter("rect")]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.1)
    assert {"0", "1", "2"} <= {*texts(svg)}
    assert "0.5" not in [text for text in texts(svg)[:3]]


def test_points_are_drawn_one_by_one():
    svg = scatter_chart("", "predicted", [(0.5, 0.6), (0.7, 0.9)])
    assert str(svg).count("<circle") == 2


def test_of_very_many_points_some_are_drawn():
    points = [(i / 10_000, 0.5) for i in range(10_000)]
    assert len(line_chart("", "", [Line("", points)])) < 20_000
    assert scatter_chart("", "", points).count("<circle") <= 600
