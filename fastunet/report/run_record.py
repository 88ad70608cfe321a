"""What a run left in its folder beside model and scores, read for the page."""

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fastunet._util.files import read_small
from fastunet.callback.diagnosis import Diagnosis, load_diagnoses
from fastunet.errors import FastunetError, OutputError
from fastunet.plan import EPOCHS, Plan
from fastunet.planner.reasons import Reason, load_reasons
from fastunet.runs.contents import (
    BUNDLE_JSON,
    DIAGNOSES_JSON,
    FOLDS_CSV,
    MAX_JSON,
    PLAN,
    REASONS,
    RUN_JSON,
    SKIPPED,
    TEMPORARY,
)

HISTORY = "history.csv"
LABEL_ERRORS = "label_errors.csv"  # suspected ones
PREDICTED_DICE = "predicted_dice.json"  # of images, without their masks
_MAX_TABLE = 20_000_000  # bytes
_START, _END, _WARM_UP = 25, 1e5, 0.25  # of fastai's one-cycle: rate / 25 up, then down to 1e-5

Row = dict[str, str]
_Read = TypeVar("_Read")


@dataclass
class RunRecord:
    """What a run's files say. What is not there is empty; `unread` says what is damaged."""

    place: Path  # where the run is once it is finished
    plan: Plan | None = None
    history: dict[str, list[float]] = field(default_factory=dict)  # column -> value by epoch
    training: Mapping[str, Any] = field(default_factory=dict)  # what the bundle says of it
    run: Mapping[str, Any] = field(default_factory=dict)  # what run.json says
    skipped: int = 0  # pairs that were left out
    diagnoses: Sequence[Diagnosis] = ()
    reasons: Sequence[Reason] = ()
    label_errors: Sequence[Row] = ()
    predicted_dice: Mapping[str, Any] = field(default_factory=dict)
    folds: Sequence[Row] = ()
    unread: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "RunRecord":
        """Read the folder of a run, finished or about to be."""
        record = cls(_final_place(folder))
        record.plan = record._read(folder / PLAN, Plan.load, None)
        record.history = record._read(folder / HISTORY, _history, {})
        record.training = record._read(folder / BUNDLE_JSON, _training, {})
        record.run = record._read(folder / RUN_JSON, _document, {})
        record.skipped = record._read(folder / SKIPPED, _count_skipped, 0)
        record.diagnoses = record._read(folder / DIAGNOSES_JSON, load_diagnoses, ())
        record.reasons = record._read(folder / REASONS, load_reasons, ())
        record.label_errors = record._read(folder / LABEL_ERRORS, _rows, ())
        record.predicted_dice = record._read(folder / PREDICTED_DICE, _document, {})
        record.folds = record._read(folder / FOLDS_CSV, _rows, ())
        return record

    def _read(self, path: Path, read: Callable[[Path], _Read], nothing: _Read) -> _Read:
        if not path.is_file():
            return nothing
        try:
            return read(path)
        except FastunetError as error:
            self.unread.append(str(error))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self.unread.append(f"{path.name} is damaged ({type(error).__name__}: {error}).")
        return nothing

    @property
    def epochs(self) -> int:
        """How many were trained."""
        return len(self.history.get("epoch", ()))

    @property
    def batches(self) -> int | None:
        """How many were trained; None where nothing says so."""
        if self.plan is not None and self.plan.clock is not None:
            return sum(map(len, self.plan.clock.steps))
        images, size = self.training.get("images"), self.training.get("bs")
        if not (images and size and self.epochs):
            return None
        return self.epochs * max(1, images["train"] // size)

    @property
    def monitor(self) -> str:
        """The score that says which epoch is the best."""
        return str(self.training.get("best_by", "dice"))

    @property
    def best_epoch(self) -> int | None:
        """The epoch that was kept, from 0."""
        return self.training.get("best_epoch")

    @property
    def scores(self) -> list[str]:
        """The columns of the history that are scores, not losses."""
        return [n for n in self.history if n not in ("epoch", "time") and "loss" not in n]

    @property
    def seconds(self) -> float:
        """How long was trained; nan where nothing says so."""
        return float(self.training.get("seconds", sum(self.history.get("time", [math.nan]))))

    @property
    def rates(self) -> list[tuple[float, float]]:
        """(epoch, learning rate): fastai's one-cycle, as the plan has it."""
        if self.plan is None or not self.epochs:
            return []
        peak = self.training.get("lr_max", self.plan.fit.lr)
        if not isinstance(peak, float | int):
            return []
        if self.plan.clock is not None:
            steps = [step for epoch in self.plan.clock.steps for step in epoch]
            ends = [len(epoch) for epoch in self.plan.clock.steps]
            places = [(i * len(ends) / len(steps), at / 1e6) for i, at in enumerate(steps)]
        elif self.plan.fit.minutes is not None:
            return []
        else:
            whole = self.plan.fit.epochs or EPOCHS
            places = [(i / 20, i / 20 / whole) for i in range(20 * self.epochs + 1)]
        some = places[:: max(1, len(places) // 200)]
        return [(epoch, _one_cycle(at, peak)) for epoch, at in some]


def _one_cycle(
    at: float,  # share of the schedule, 0 to 1
    peak: float,
) -> float:
    low, high = (peak / _START, peak) if at < _WARM_UP else (peak, peak / _END)
    share = at / _WARM_UP if at < _WARM_UP else (at - _WARM_UP) / (1 - _WARM_UP)
    return low + (1 - math.cos(math.pi * min(share, 1))) / 2 * (high - low)


def _final_place(folder: Path) -> Path:
    """A run that replaces another is made in a folder beside it."""
    folder = folder.absolute()
    replacing = (folder / TEMPORARY).exists() and folder.name.endswith(".new")
    return folder.with_name(folder.name.removesuffix(".new")) if replacing else folder


def _document(path: Path) -> dict[str, Any]:
    document = json.loads(read_small(path, MAX_JSON, OutputError))
    if not isinstance(document, dict):
        raise ValueError("an object was expected")
    return document


def _training(bundle: Path) -> dict[str, Any]:
    return _document(bundle).get("training") or {}


def _rows(path: Path) -> list[Row]:
    text = read_small(path, _MAX_TABLE, OutputError).decode("utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


def _history(path: Path) -> dict[str, list[float]]:
    rows = _rows(path)
    return {name: [_number(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def _number(text: str | None) -> float:
    """A number, or minutes and seconds as seconds; nan for anything else."""
    try:
        seconds = 0.0
        for part in (text or "nan").split(":"):
            seconds = 60 * seconds + float(part)
        return seconds
    except ValueError:
        return math.nan


def _count_skipped(path: Path) -> int:
    document = json.loads(read_small(path, MAX_JSON, OutputError))
    entries = document.get("skipped", document) if isinstance(document, dict) else document
    return len(entries)
