"""An evaluation on disk: JSON with its summary and, under "data", what it is made of again."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, astuple, is_dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from fastunet.errors import EvaluationError
from fastunet.evaluation.bootstrap import Bootstrap
from fastunet.evaluation.outcomes import Outcomes
from fastunet.evaluation.score_types import BOUNDARY, Probabilities
from fastunet.metrics.objects import ObjectCounts

JSON_NAME = "evaluation.json"
FORMAT = 1


def files_in(folder: Path) -> list[Path]:
    """What `Evaluation.save` writes there: JSON, the tables of images and of classes, a picture."""
    return [folder / n for n in (JSON_NAME, "per_image.csv", "per_class.csv", "evaluation.png")]


def plain(
    value: Any,
    digits: int | None = None,  # to which numbers are rounded; None: not at all
) -> Any:
    """As JSON has it: dicts and lists, null for nan."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {key: plain(each, digits) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each, digits) for each in value]
    if not isinstance(value, float):
        return value
    if isnan(value):
        return None
    return value if digits is None else round(value, digits)


def as_json(
    summary: Mapping[str, Any],  # `Evaluation.to_dict()`
    fields: Mapping[str, Any],  # of the `Evaluation`, by name
) -> str:
    """One line of JSON."""
    probabilities, boundary = fields["probabilities"], fields["boundary"]
    outcomes: Outcomes = fields["outcomes"]
    data = {
        "classes": fields["classes"],
        "names": fields["names"],
        "groups": fields["groups"],
        "outcomes": np.stack(outcomes, axis=-1).tolist(),  # (N, C, 3)
        "pixels": outcomes.true.sum(1).tolist(),  # older versions read them
        "confusion": fields["confusion"].tolist(),
        "probabilities": None if probabilities is None else plain(astuple(probabilities)),
        "boundary": None if boundary is None else plain(boundary.tolist()),
    }
    return json.dumps({"format": FORMAT, **summary, "data": data}, allow_nan=False)


def fields_in(
    path: str | os.PathLike,  # a file, or the folder of `Evaluation.save`
) -> dict[str, Any]:
    """The fields of the `Evaluation` that was written there, by name.

    Raises `EvaluationError` where there is none, or it is damaged.
    """
    path = Path(path)
    file = path / JSON_NAME if path.is_dir() else path
    if not file.is_file():
        raise EvaluationError(
            f"{file} does not exist; the folder that an evaluation was saved to was expected, or "
            f"its {JSON_NAME}."
        )
    try:
        return _fields(json.loads(file.read_bytes()))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise EvaluationError(
            f"{file} is cut short or no evaluation ({type(error).__name__}: {error}). Evaluate and "
            "save again."
        ) from error


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    if document["format"] > FORMAT:
        raise ValueError(f"format {document['format']} is newer than this fastunet reads")
    data = document["data"]
    n, c = len(data["names"]), len(data["classes"])
    outcomes = np.array(data["outcomes"], np.int64).reshape(n, c, 3)
    boundary = data["boundary"]
    if boundary is not None:
        boundary = np.array(boundary, np.float64).reshape(n, c, len(BOUNDARY))
    intervals = document["intervals"]
    return {
        "split": document["split"],
        "classes": tuple(data["classes"]),
        "names": tuple(data["names"]),
        "groups": tuple(data["groups"]),
        "outcomes": Outcomes(*np.moveaxis(outcomes, -1, 0)),
        "confusion": np.array(data["confusion"], np.int64).reshape(c, c),
        "threshold": document["threshold"],
        "probabilities": data["probabilities"] and _probabilities(*data["probabilities"]),
        "objects": ObjectCounts(**document["objects"]) if "objects" in document else None,
        "boundary": boundary,
        "bootstrap": Bootstrap(intervals["resamples"], intervals["seed"], intervals["confidence"]),
    }


def _probabilities(error: float | None, brier: float | None, *lists: list) -> Probabilities:
    error, brier = (np.nan if mean is None else mean for mean in (error, brier))
    return Probabilities(error, brier, *map(tuple, lists))
