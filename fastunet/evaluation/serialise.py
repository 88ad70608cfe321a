"""An evaluation on disk: JSON that is read back, tables for spreadsheets, a picture."""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, astuple
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastunet._util.files import make_folder, write_atomically
from fastunet.errors import EvaluationError
from fastunet.evaluation.bootstrap import Bootstrap
from fastunet.evaluation.result import BOUNDARY, Evaluation, Interval, Probabilities
from fastunet.evaluation.spreadsheet import as_csv
from fastunet.metrics.objects import ObjectCounts

if TYPE_CHECKING:
    import pandas as pd

JSON_NAME = "evaluation.json"
_TABLES, _PICTURE = ("per_image.csv", "per_class.csv"), "evaluation.png"
FORMAT = 1
RESOLUTION = "the images' own size"


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """The scores with what they mean, as JSON values; a score that does not exist is null."""
    boot = evaluation.bootstrap
    binary = len(evaluation.classes) == 2
    document = {
        "split": evaluation.split,
        "images": evaluation.images,
        "resolution": RESOLUTION,
        "reduction": "pixels counted over all images"
        + ("; foreground" if binary else "; mean over classes"),
        "void": "left out",
        "absent_classes": "left out of means",
        "threshold": evaluation.threshold,
        **{name: _number(value) for name, value in evaluation.overall.items()},
        "intervals": {
            "method": how_intervals_are_made(evaluation),
            **asdict(boot),
            **{name: _pair(interval) for name, interval in evaluation.intervals.items()},
        },
        "per_class": {row.pop("name"): row for row in _class_rows(evaluation)},
    }
    if evaluation.probabilities is not None:
        document["calibration"] = {
            "expected_error": _number(evaluation.probabilities.calibration_error),
            "brier": _number(evaluation.probabilities.brier),
        }
    if evaluation.objects is not None:
        document["objects"] = asdict(evaluation.objects)
    return document


def how_intervals_are_made(evaluation: Evaluation) -> str:
    """The method in a few words, or why there are none."""
    boot, units = evaluation.bootstrap, evaluation.units
    n = len(set(units))
    grouped = any(evaluation.groups)
    if not boot.resamples:
        return "none: not asked for"
    if n < 2:
        return f"none: only one {'group of images' if grouped else 'image'}"
    return (
        f"{100 * boot.confidence:g} % percentile intervals from {boot.resamples} bootstrap "
        f"resamples of the {n} {'groups of ' if grouped else ''}images, seed {boot.seed} "
        "(Efron & Tibshirani 1993)"
    )


# --- JSON ----------------------------------------------------------------------------------------


def as_json(evaluation: Evaluation, path: str | os.PathLike | None = None) -> str:
    """The summary and what it was made of; written to `path` if given."""
    probabilities, boundary = evaluation.probabilities, evaluation.boundary
    data = {
        "classes": evaluation.classes,
        "names": evaluation.names,
        "groups": evaluation.groups,
        "outcomes": evaluation.outcomes.tolist(),
        "pixels": evaluation.pixels.tolist(),
        "confusion": evaluation.confusion.tolist(),
        "probabilities": None if probabilities is None else _plain(astuple(probabilities)),
        "boundary": None if boundary is None else _plain(boundary.tolist()),
    }
    text = json.dumps({"format": FORMAT, **summary(evaluation), "data": data}, allow_nan=False)
    if path is not None:
        write_atomically(Path(path), (text + "\n").encode())
    return text


def load(path: str | os.PathLike) -> Evaluation:
    """What `as_json` wrote, from a file or from the folder that `save` made."""
    path = Path(path)
    file = path / JSON_NAME if path.is_dir() else path
    if not file.is_file():
        raise EvaluationError(
            f"{file} does not exist; the folder that an evaluation was saved to was expected, or "
            f"its {JSON_NAME}."
        )
    try:
        return _evaluation(json.loads(file.read_bytes()))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise EvaluationError(
            f"{file} is cut short or no evaluation ({type(error).__name__}: {error}). Evaluate and "
            "save again."
        ) from error


def _evaluation(document: Mapping[str, Any]) -> Evaluation:
    if document["format"] > FORMAT:
        raise ValueError(f"format {document['format']} is newer than this fastunet reads")
    data = document["data"]
    n, c = len(data["names"]), len(data["classes"])
    intervals = document["intervals"]
    boundary = data["boundary"]
    return Evaluation(
        document["split"],
        tuple(data["classes"]),
        tuple(data["names"]),
        tuple(data["groups"]),
        np.array(data["outcomes"], np.int64).reshape(n, c, 3),
        np.array(data["pixels"], np.int64).reshape(n),
        np.array(data["confusion"], np.int64).reshape(c, c),
        document["threshold"],
        data["probabilities"] and _probabilities(*data["probabilities"]),
        ObjectCounts(**document["objects"]) if "objects" in document else None,
        None if boundary is None else np.array(boundary, np.float64).reshape(n, c, len(BOUNDARY)),
        Bootstrap(intervals["resamples"], intervals["seed"], intervals["confidence"]),
    )


def _probabilities(error: float | None, brier: float | None, *lists: list) -> Probabilities:
    numbers = [np.nan if value is None else value for value in (error, brier)]
    return Probabilities(*numbers, *map(tuple, lists))


def _plain(value: Any) -> Any:
    """Nested lists with null for nan, which JSON has not."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and isnan(value) else value


def _number(value: float) -> float | None:
    return None if isnan(value) else round(value, 6)


def _pair(interval: Interval) -> list[float] | None:
    return None if interval is None else [round(end, 6) for end in interval]


# --- tables and files ----------------------------------------------------------------------------


def _class_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    rows = []
    for index, scores in enumerate(evaluation.per_class):
        row = asdict(scores)
        for name, value in row.items():
            if name.endswith("_interval"):
                row[name] = _pair(value)
            elif isinstance(value, float):
                row[name] = _number(value)
        row |= {name: _number(float(means[index])) for name, means in evaluation.outlines.items()}
        rows.append(row)
    return rows


def class_table(evaluation: Evaluation) -> "pd.DataFrame":
    """A row per class; an interval takes two columns."""
    import pandas as pd

    rows = []
    for row in _class_rows(evaluation):
        for name in ("dice", "iou"):
            row[f"{name}_low"], row[f"{name}_high"] = row.pop(f"{name}_interval") or (None, None)
        rows.append(row)
    return pd.DataFrame(rows)


def image_table(evaluation: Evaluation) -> "pd.DataFrame":
    """A row per image, in the order of the evaluation."""
    import pandas as pd

    columns = {
        "image": evaluation.names,
        "group": evaluation.groups,
        "pixels": evaluation.pixels,
        **evaluation.per_image,
    }
    for index, name in enumerate(evaluation.classes):
        for at, outcome in enumerate(("tp", "fp", "fn")):
            columns[f"{name} {outcome}"] = evaluation.outcomes[:, index, at]
        if evaluation.boundary is not None:
            for at, measure in enumerate(BOUNDARY):
                columns[f"{name} {measure}"] = evaluation.boundary[:, index, at]
    return pd.DataFrame(columns)


def files_in(folder: Path) -> list[Path]:
    """What `save` writes there: the JSON, the tables of images and of classes, the picture."""
    return [folder / JSON_NAME, *(folder / name for name in _TABLES), folder / _PICTURE]


def save(evaluation: Evaluation, folder: str | os.PathLike) -> Path:
    """Write the JSON, both tables and the picture, each whole or not at all."""
    import matplotlib.pyplot as plt

    folder = make_folder(Path(folder))
    json_file, per_image, per_class, picture_file = files_in(folder)
    as_json(evaluation, json_file)
    write_atomically(per_image, as_csv(image_table(evaluation)))
    write_atomically(per_class, as_csv(class_table(evaluation)))
    figure = evaluation.plot()
    picture = io.BytesIO()
    figure.savefig(picture, dpi=100, format="png")
    plt.close(figure)
    write_atomically(picture_file, picture.getvalue())
    return folder
