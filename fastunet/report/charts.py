"""Small charts as inline SVG that takes its colours from the page, light or dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 26, 38
_TICKS = 5
_POINTS = 600  # of a curve


@dataclass(frozen=True)
class Line:
    """One curve of a chart."""

    name: str
    points: Sequence[tuple[float, float]]  # where a value is not finite the curve is broken
    style: str = "a"  # of the page: a, b, c and d are colours, "guide" is thin and dashed


@dataclass(frozen=True)
class Mark:
    """A vertical line at a value that is worth to be seen."""

    x: float
    name: str


def line_chart(
    title: str,
    x_name: str,
    lines: Sequence[Line],
    *,
    marks: Sequence[Mark] = (),
    x_range: tuple[float, float] | None = None,  # None: of the points
    y_range: tuple[float, float] | None = None,
) -> Markup:
    """Curves over one pair of axes, with their names on top."""
    points = [p for line in lines for p in line.points if all(map(math.isfinite, p))]
    if not points:
        return Markup("")
    x_range = x_range or _range([x for x, _ in points])
    y_range = y_range or _range([y for _, y in points], room=0.05)
    parts = [*_axes(x_name, x_range, y_range)]
    for mark in marks:
        x = _x(mark.x, x_range)
        end = x > _WIDTH - 110
        parts.append(
            Markup('<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
                x, _TOP, _HEIGHT - _BOTTOM
            )
            + _text(x + (-5 if end else 5), _TOP + 12, mark.name, "end" if end else "start")
        )
    for line in lines:
        path = _path(_some(line.points), x_range, y_range)
        parts.append(Markup('<path class="line {}" d="{}"/>').format(line.style, path))
    across = _LEFT
    for line in lines:
        if not line.name:
            continue
        swatch = '<line class="line {0}" x1="{1}" x2="{2}" y1="11" y2="11"/>'
        parts.append(Markup(swatch).format(line.style, across, across + 18))
        parts.append(_text(across + 23, 15, line.name, "start"))
        across += 38 + round(6.6 * len(line.name))
    return _svg(title, parts)


def bar_chart(
    title: str,
    x_name: str,
    heights: Sequence[int],  # of bars of equal width
    x_range: tuple[float, float],
    *,
    marks: Sequence[Mark] = (),
) -> Markup:
    """A histogram."""
    top = float(max(heights, default=0))
    if not top:
        return Markup("")
    y_range = (0.0, top * 1.08)
    width = (x_range[1] - x_range[0]) / len(heights)
    parts = [*_axes(x_name, x_range, y_range, whole=True)]
    for i, height in enumerate(heights):
        left, right = (_x(x_range[0] + width * j, x_range) for j in (i, i + 1))
        y = _y(height, y_range)
        bar = '<rect class="column" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
        if height:
            place = (left + 0.8, y, right - left - 1.6, _HEIGHT - _BOTTOM - y)
            parts.append(Markup(bar).format(*place))
    for mark in marks:
        x = _x(mark.x, x_range)
        line = '<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
        parts.append(Markup(line).format(x, _TOP, _HEIGHT - _BOTTOM))
        parts.append(_text(x, _TOP - 8, mark.name, "middle"))
    return _svg(title, parts)


def scatter_chart(
    title: str,
    x_name: str,
    points: Sequence[tuple[float, float]],  # from 0 to 1 both
) -> Markup:
    """Points beside the diagonal on which both numbers are equal."""
    span = (0.0, 1.0)
    parts = _axes(x_name, span, span)
    guide = _path([(0, 0), (1, 1)], span, span)
    parts.append(Markup('<path class="line guide" d="{}"/>').format(guide))
    for x, y in _some(points):
        place = (_x(x, span), _y(y, span))
        parts.append(Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(*place))
    return _svg(title, parts)


def _some(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """As many of them as can be told apart."""
    return points[:: -(-len(points) // _POINTS) or 1]


def _svg(title: str, parts: Sequence[Markup]) -> Markup:
    head = '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">'
    return Markup(head).format(_WIDTH, _HEIGHT, title) + Markup("").join(parts) + Markup("</svg>")


def _axes(
    x_name: str, x_range: tuple[float, float], y_range: tuple[float, float], whole: bool = False
) -> list[Markup]:
    parts = []
    for tick in _ticks(*y_range, whole=whole):
        y = _y(tick, y_range)
        line = '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        parts.append(Markup(line).format(_LEFT, _WIDTH - _RIGHT, y, y))
        parts.append(_text(_LEFT - 7, y + 4, _shown(tick), "end"))
    for tick in _ticks(*x_range, whole=False):
        parts.append(_text(_x(tick, x_range), _HEIGHT - _BOTTOM + 17, _shown(tick), "middle"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [*parts, _text(middle, _HEIGHT - 5, x_name, "middle")]


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    shape = '<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
    return Markup(shape).format(x, y, anchor, escape(text))


def _path(
    points: Sequence[tuple[float, float]],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> str:
    words, pen = [], "M"
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            pen = "M"
            continue
        y = min(max(y, y_range[0]), y_range[1])
        words.append(f"{pen}{_x(x, x_range):.1f} {_y(y, y_range):.1f}")
        pen = "L"
    if len(words) == 1:
        words.append("h1")  # a single point
    return "".join(words)


def _x(value: float, span: tuple[float, float]) -> float:
    return _LEFT + (value - span[0]) / (span[1] - span[0]) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, span: tuple[float, float]) -> float:
    share = (value - span[0]) / (span[1] - span[0])
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _range(values: Sequence[float], room: float = 0.0) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        return low - 0.5, high + 0.5
    return low - room * (high - low), high + room * (high - low)


def _ticks(low: float, high: float, whole: bool) -> list[float]:
    """Round numbers, a handful."""
    rough = (high - low) / _TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * n for n in (1, 2, 2.5, 5, 10) if size * n >= rough * 0.999)
    step = max(step, 1.0) if whole else step
    first = math.ceil(low / step - 1e-9)
    count = int((high - first * step) / step + 1e-9) + 1
    return [(first + i) * step for i in range(count)]


def _shown(tick: float) -> str:
    return f"{tick:.4g}" if abs(tick) > 1e-12 else "0"
