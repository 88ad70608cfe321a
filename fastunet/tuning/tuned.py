"""What a search found: a table, a picture, a plan."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fastunet._util.text import plural
from fastunet.evaluation.plots import as_png, draw
from fastunet.evaluation.spreadsheet import as_csv
from fastunet.plan import Plan
from fastunet.tuning.search_space import differences

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#7f7f7f"
_SHOWN = 12  # trials in the printed table
_LABEL = 22  # characters of a value in the picture

STATES = ("finished", "pruned", "failed")


@dataclass(frozen=True)
class TrialRow:
    """A trial, as the table has it."""

    number: int  # from 0, the default
    state: str  # one of `STATES`
    score: float  # Dice; of a pruned one what it had when it was ended; nan: none
    low: float  # the 95 % interval of a finished one
    high: float
    seconds: float  # of training
    epochs: int
    values: Mapping[str, Any]  # of the options that are searched
    note: str = ""  # why it failed


@dataclass(frozen=True)
class Tuned:
    """The result of `tune`: `print` it, or train on with its `plan`."""

    folder: Path
    plan: Plan  # of the best trial
    trials: Sequence[TrialRow]  # in their order
    default: Mapping[str, Any]  # values of the first
    importance: Mapping[str, float]  # of each option, 1 in all; empty: too few trials
    scored: int  # validation images that the scores are of
    valid: int  # validation images in all
    test: int  # images that were not looked at

    @property
    def best(self) -> TrialRow | None:
        """The trial with the best score; the first of equals."""
        return best_of(self.trials)

    def to_frame(self) -> "pd.DataFrame":
        """A row per trial, in their order."""
        import pandas as pd

        rows = [
            {k: v for k, v in vars(row).items() if k not in ("values", "note")}
            | {"dice": row.score}
            | dict(row.values)
            | {"note": row.note}
            for row in self.trials
        ]
        frame = pd.DataFrame(rows).drop(columns="score", errors="ignore")
        return frame

    def to_csv(self) -> bytes:
        """The same as a table that spreadsheets open."""
        return as_csv(self.to_frame())

    def __str__(self) -> str:
        """The trials by their score, and what it is worth."""
        ranked = ranking(self.trials)
        lines = [f"{'trial':>5}  {'Dice':<24}{'trained':>8}  differs from the default in"]
        for row in ranked[:_SHOWN]:
            score = "-" if np.isnan(row.score) else f"{row.score:.4f}"
            if row.state == "finished":
                score += f" [{row.low:.3f}, {row.high:.3f}]"
            else:
                score += f" {row.state}"
            what = differences(row.values, self.default)
            lines.append(f"{row.number:>5}  {score:<24}{row.seconds:>6.0f} s  {what}")
        if len(ranked) > _SHOWN:
            lines.append(f"       ... and {len(ranked) - _SHOWN} more, see trials.csv")
        if self.importance:
            shares = ", ".join(f"{name} {share:.0%}" for name, share in self.importance.items())
            lines.append(f"What mattered: {shares}.")
        tried = plural(len(self.trials), "trial")
        of = f"{self.scored} of " if self.scored < self.valid else ""
        lines.append(
            f"Scores are those of {of}the {self.valid} validation images, at their own size, "
            f"by which the best of {tried} was chosen (and its epoch and threshold): they are too "
            "good, the more so the more was tried."
        )
        if self.test:
            lines.append(
                f"The {plural(self.test, 'test image')} were not looked at: a training with the "
                "plan measures them."
            )
        return "\n".join(lines)

    def plot(self) -> "Figure":
        """Scores in the order of the trials, and against each option."""
        panels = [partial(_course, self.trials)]
        panels += [partial(_against, self.trials, name) for name in self.default]
        return draw(f"{plural(len(self.trials), 'trial')}: Dice on the validation part", panels)

    def to_png(self) -> bytes:
        """The picture as a file."""
        return as_png(self.plot())


def best_of(rows: Sequence[TrialRow]) -> TrialRow | None:
    """The finished trial with the best score."""
    finished = [row for row in rows if row.state == "finished"]
    return max(finished, key=lambda row: (row.score, -row.number), default=None)


def ranking(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Finished ones by their score, then pruned ones, then those that failed."""
    return sorted(rows, key=lambda row: (STATES.index(row.state), -np.nan_to_num(row.score)))


def _course(rows: Sequence[TrialRow], axis: Axes) -> None:
    _scatter(axis, rows, [row.number for row in rows])
    finished = [row for row in rows if row.state == "finished"]
    if finished:
        best = np.maximum.accumulate([row.score for row in finished])
        axis.step(
            [row.number for row in finished], best, _ORANGE, where="post", label="best so far"
        )
        axis.legend()
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="trial (0 is the default)", ylabel="Dice", title="Trial by trial")


def _against(rows: Sequence[TrialRow], name: str, axis: Axes) -> None:
    values = [row.values[name] for row in rows]
    if any(isinstance(value, float) for value in values):
        _scatter(axis, rows, values)
        axis.set_xscale("log")
    else:
        known = sorted(set(values), key=_by_number)
        _scatter(axis, rows, [known.index(value) for value in values])
        labels = [str(value)[:_LABEL] for value in known]
        axis.set_xticks(range(len(known)), labels, rotation=20 if max(map(len, labels)) > 6 else 0)
        axis.set_xlim(-0.5, len(known) - 0.5)
    best = best_of(rows)
    title = name if best is None else f"{name}: best {_words(best.values[name])}"
    axis.set(ylabel="Dice", title=title)


def _by_number(value: Any) -> list:
    """For sorting: 8 before 16, in texts too."""
    parts = re.split(r"(\d+)", str(value))
    return [int(part) if part.isdigit() else part for part in parts]


def _words(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _scatter(axis: Axes, rows: Sequence[TrialRow], places: Sequence[float]) -> None:
    points = list(zip(places, rows, strict=True))
    for state, colour, marker in (("finished", _BLUE, "o"), ("pruned", _GREY, "x")):
        some = [(place, row.score) for place, row in points if row.state == state]
        if some:
            x, y = zip(*some, strict=True)
            axis.scatter(x, y, c=colour, marker=marker, label=state)
    best = best_of(rows)
    if best is not None:
        place = next(place for place, row in points if row is best)
        axis.scatter([place], [best.score], s=120, facecolors="none", edgecolors=_ORANGE)
