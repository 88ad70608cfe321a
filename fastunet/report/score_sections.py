"""The sections of the scores: all that follows from the evaluation, as values for the page."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from markupsafe import Markup

from fastunet.evaluation.result import Evaluation
from fastunet.report.charts import Line, Mark, bar_chart, line_chart
from fastunet.report.gathered import Gathered
from fastunet.report.mistakes import distance_names, size_names
from fastunet.report.wording import part_name

SCORE_NAMES = {  # of all classes, in the table
    "dice": "Dice",
    "mean_iou": "IoU",
    "pixel_accuracy": "pixel accuracy",
    "dice_micro": "Dice, classes added up",
    "iou_micro": "IoU, classes added up",
    "dice_per_image": "Dice, mean over images",
    "iou_per_image": "IoU, mean over images",
}
_BINS = 20  # of the histogram of images
_ROOM = 40  # classes in the table of the confusion
_ACROSS, _SHORT = 6, 3  # columns and letters, beyond which names are written upwards


def score_card(found: Gathered) -> dict[str, Any]:
    """The scores of each part, with what they mean."""
    one = found.evaluation
    evaluations = [one, *(other for other in found.scores.values() if other is not one)]
    names = [name for name in SCORE_NAMES if not (one.is_binary and name.endswith("_micro"))]
    rows = [
        {
            "name": SCORE_NAMES[name],
            "cells": [(each.overall[name], each.intervals[name]) for each in evaluations],
        }
        for name in names
    ]
    return {
        "evaluations": [
            {
                "part": f"{part_name(each.split)} ({each.images})",
                "interval_name": f"{100 * each.bootstrap.confidence:g} % interval",
            }
            for each in evaluations
        ],
        "score_rows": rows,
        "conditions": list(_conditions(one)),
        "image_chart": _images_by_dice(one),
    }


def _conditions(one: Evaluation) -> Iterator[str]:
    what = "means over the classes, absent ones left out"
    if one.is_binary:
        what = f"of {one.classes[1]}"
    yield f"Pixels are counted over all images, at the images' own size; scores are {what}."
    yield f"Intervals: {one.to_dict()['intervals']['method']}."
    if one.objects is not None and one.objects.true:
        objects = one.objects
        yield (
            f"Objects: {objects.found} of {objects.true} found, {objects.merged} merged, "
            f"{objects.split} split; {objects.invented} of {objects.predicted} invented."
        )


def _images_by_dice(one: Evaluation) -> Markup:
    dice = one.per_image["dice"]
    dice = dice[~np.isnan(dice)]
    if len(dice) < 2:
        return Markup("")
    counts, _ = np.histogram(dice, bins=_BINS, range=(0, 1))
    median = float(np.median(dice))
    marks = [Mark(median, f"median {median:.3f}")]
    return bar_chart("Images by their Dice", "Dice", counts.tolist(), (0.0, 1.0), marks=marks)


def classes(found: Gathered) -> dict[str, Any]:
    """The table of the classes, and where their pixels go."""
    one = found.evaluation
    colours = [tuple(map(int, colour)) for colour in found.segmenter.codec.colours]
    pixels = max(1, sum(row.pixels for row in one.per_class))
    shown, counts = _frequent(one.confusion)
    names = [*(one.classes[i] for i in shown), *(["others"] if len(shown) < len(counts) else [])]
    confusion = []
    for name, row in zip(names, counts, strict=True):
        total = row.sum()
        confusion.append((name, (row / total).tolist() if total else [None] * len(row)))
    return {
        "classes": [
            {"scores": row, "colour": colour, "share": row.pixels / pixels}
            for row, colour in zip(one.per_class, colours, strict=True)
        ],
        "class_names": names,
        "long_names": len(names) > _ACROSS and max(map(len, names)) > _SHORT,
        "confusion": confusion,
    }


def _frequent(
    confusion: np.ndarray,  # (C, C)
) -> tuple[list[int], np.ndarray]:
    """The classes that a table has room for, by index, and their counts; the others added up."""
    classes = len(confusion)
    if classes <= _ROOM:
        return list(range(classes)), confusion
    order = (-confusion.sum(1)).argsort(kind="stable")
    shown = sorted(order[:_ROOM].tolist())
    place = np.full(classes, _ROOM)
    place[shown] = range(_ROOM)
    counts = np.zeros((_ROOM + 1, _ROOM + 1), np.int64)
    np.add.at(counts, (place[:, None], place[None]), confusion)
    return shown, counts


def mistakes(found: Gathered) -> dict[str, Any]:
    """Where the errors are."""
    mistakes = found.mistakes
    if mistakes is None:
        return {"mistakes": None}
    pixels, wrong = mistakes.distances.T
    rates = wrong / np.maximum(pixels, 1)
    distances = [
        {"name": name, "share": rate, "length": rate / max(rates.max(), 1e-9), "of_all": part}
        for name, rate, part in zip(
            distance_names(), rates, wrong / max(1, wrong.sum()), strict=True
        )
    ]
    sizes = [
        {"name": name, "objects": int(n), "found": hit / n, "right": right / area}
        for name, (n, hit, area, right) in zip(size_names(), mistakes.sizes, strict=True)
        if n
    ]
    one = found.evaluation
    which = f"{mistakes.images} of {one.images}"
    if mistakes.images == one.images:
        which = f"all {one.images}"
    what = "the foreground" if one.is_binary else "one class"
    note = (
        f"Counted in {which} images of the {part_name(one.split)} part. Objects are what hangs "
        f"together of {what}."
    )
    return {"mistakes": {"note": note, "distances": distances, "sizes": sizes}}


def probabilities(found: Gathered) -> dict[str, Any]:
    """What the probabilities are worth."""
    one, known = found.evaluation, found.evaluation.probabilities
    if known is None:
        return {"probability_charts": []}
    bins = zip(known.bin_confidence, known.bin_accuracy, strict=True)
    points = [(float(c), float(a)) for c, a in bins if c is not None and a is not None]
    least = min((c for c, _ in points), default=0.5)
    lines = [
        Line("as sure as right", [(least, least), (1, 1)], "guide"),
        Line("this model", points),
    ]
    chart = line_chart("Confidence and accuracy", "confidence of a pixel", lines, y_range=(0, 1))
    said = (
        f"How often pixels of a confidence are right: {known.calibration_error:.3f} off on average."
    )
    charts = [(chart, said)]
    curve = known.threshold_dice
    if curve and one.threshold is not None:
        at = [(i / len(curve), math.nan if d is None else d) for i, d in enumerate(curve)][::4]
        marks = [Mark(one.threshold, f"in use: {one.threshold:.3g}")]
        chart = line_chart(
            "Dice by threshold", "threshold", [Line("Dice", at)], marks=marks, y_range=(0, 1)
        )
        charts.append((chart, "The Dice that each threshold would give on these images."))
    return {"probability_charts": charts}
