"""What was gathered as values for the page: each function makes those of a section or two."""

import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from importlib.metadata import version
from typing import Any

import numpy as np
from markupsafe import Markup

from fastunet._util.text import listing, plural
from fastunet.evaluation.bootstrap import Interval
from fastunet.evaluation.result import Evaluation
from fastunet.overlay import error_legend
from fastunet.plan import GROUPS, Plan
from fastunet.report.advice import Facts, advices
from fastunet.report.charts import Line, Mark, bar_chart, line_chart, scatter_chart
from fastunet.report.gathered import Gathered
from fastunet.report.mistakes import distance_names, size_names
from fastunet.report.run_record import Row, RunRecord

_SCORES = {  # of all classes, in the table
    "dice": "Dice",
    "mean_iou": "IoU",
    "pixel_accuracy": "pixel accuracy",
    "dice_micro": "Dice, classes added up",
    "iou_micro": "IoU, classes added up",
    "dice_per_image": "Dice, mean over images",
    "iou_per_image": "IoU, mean over images",
}
_BINS = 20  # of the histogram of images
_CURVES = ("dice", "mean_iou", "pixel_accuracy")  # of the scores by epoch
_SIDES = ("size", "patch")  # options that are height and width
_ACROSS, _SHORT = 6, 3  # columns and letters, beyond which names are written upwards
_PARTS = {"test": "test", "valid": "validation", "train": "training"}


def values(found: Gathered) -> dict[str, Any]:
    """Every value of the template, by name."""
    made: dict[str, Any] = {}
    for section in (_head, _pictures, _next, _score_card, _classes, _mistakes, _probabilities):
        made |= section(found)
    for section in (_training, _data, _labels, _predicted, _plan, _usage):
        made |= section(found)
    return made | {"contents": _contents(made)}


# --- numbers as text ------------------------------------------------------------------------------


def score(value: float | None) -> str:
    """Three digits."""
    return "absent" if value is None or math.isnan(value) else f"{value:.3f}"


def interval(ends: Interval) -> str:
    """`0.79–0.83`, or nothing."""
    return f"{ends[0]:.3f}–{ends[1]:.3f}" if ends else ""


def percent(share: float | None) -> str:
    """A share with as many digits as tell something."""
    if share is None or math.isnan(share):
        return "–"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.9995 else "100 %"


def cell(share: float) -> str:
    """A percentage in a narrow cell."""
    if share < 0.0005:
        return ""
    return f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"


FILTERS: dict[str, Callable] = {f.__name__: f for f in (score, interval, percent, cell)}


def _part(name: str) -> str:
    return _PARTS.get(name, name)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


# --- the sections ---------------------------------------------------------------------------------


def _head(found: Gathered) -> dict[str, Any]:
    one, run = found.evaluation, found.run
    images = f"{plural(one.images, 'image')} of the {_part(one.split)} part"
    of_what = (
        f"Dice of {one.classes[1]}" if one.is_binary else f"mean Dice of {len(one.classes)} classes"
    )
    rule = "the most probable class is taken"
    if one.threshold is not None:
        rule = f"foreground is what is more probable than {one.threshold:.3g}"
    ends = one.intervals["dice"]
    known = ""
    if ends:
        known = (
            f"; with other images like these it would lie between {ends[0]:.3f} and {ends[1]:.3f}"
        )
        known += f" ({100 * one.bootstrap.confidence:g} % interval)"
    notes = [f"Measured at the images' own size; void is left out; {rule}."]
    if one.split == "valid":
        chosen = "best epoch and the threshold were" if one.is_binary else "best epoch was"
        notes.append(
            f"The {chosen} chosen on these images, so that the score is a little too good."
        )
    began = str(run.run.get("started", ""))[:10]
    return {
        "title": run.place.name,
        "kicker": f"A training run of fastunet{', ' + began if began else ''}",
        "headline": {
            "value": score(one.dice),
            "what": "Dice",
            "sentence": f"The {of_what} is {score(one.dice)} on {images}{known}.",
            "notes": notes,
        },
        "part": _part(one.split),
        "binary": one.is_binary,
        "footer": [
            f"Made by fastunet {version('fastunet')} of {run.place}.",
            *(f"Could not be read: {why}" for why in run.unread),
        ],
    }


def _pictures(found: Gathered) -> dict[str, Any]:
    ranks = ("worst", "median")
    firsts = [next((e for e in found.examples if e.rank == rank), None) for rank in ranks]
    first = [example for example in firsts if example is not None]
    order = ("worst", "median", "best")
    rest = [example for example in found.examples if example not in first]
    return {
        "first_examples": first,
        "more_examples": sorted(rest, key=lambda example: order.index(example.rank)),
        "examples_note": found.notes.get("pictures", ""),
        "error_legend": error_legend(found.segmenter.codec),
    }


def _next(found: Gathered) -> dict[str, Any]:
    facts = Facts(found.run, found.evaluation, found.mistakes, found.audit, found.detail)
    return {"advices": advices(facts)}


def _score_card(found: Gathered) -> dict[str, Any]:
    one = found.evaluation
    evaluations = [one, *(other for other in found.scores.values() if other is not one)]
    names = [name for name in _SCORES if not (one.is_binary and name.endswith("_micro"))]
    rows = [
        {
            "name": _SCORES[name],
            "cells": [(each.overall[name], each.intervals[name]) for each in evaluations],
        }
        for name in names
    ]
    return {
        "evaluations": [
            {
                "part": f"{_part(each.split)} ({each.images})",
                "interval_name": f"{100 * each.bootstrap.confidence:g} % interval",
            }
            for each in evaluations
        ],
        "score_rows": rows,
        "conditions": list(_conditions(one)),
        "image_chart": _images_by_dice(one),
    }


def _conditions(one: Evaluation) -> Iterator[str]:
    what = (
        f"of {one.classes[1]}" if one.is_binary else "means over the classes, absent ones left out"
    )
    yield f"Pixels are counted over all images, at the images' own size; scores are {what}."
    yield f"Intervals: {one._method}."
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


def _classes(found: Gathered) -> dict[str, Any]:
    one = found.evaluation
    colours = [tuple(map(int, colour)) for colour in found.segmenter.codec.colours]
    pixels = max(1, sum(row.pixels for row in one.per_class))
    true = one.confusion.sum(1)
    confusion = []
    for name, row, total in zip(one.classes, one.confusion, true, strict=True):
        shares = (row / total).tolist() if total else [None] * len(row)
        confusion.append((name, shares))
    return {
        "classes": [
            {"scores": row, "colour": colour, "share": row.pixels / pixels}
            for row, colour in zip(one.per_class, colours, strict=True)
        ],
        "class_names": one.classes,
        "long_names": len(one.classes) > _ACROSS and max(map(len, one.classes)) > _SHORT,
        "confusion": confusion,
    }


def _mistakes(found: Gathered) -> dict[str, Any]:
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
    which = (
        f"all {one.images}"
        if mistakes.images == one.images
        else f"{mistakes.images} of {one.images}"
    )
    what = "the foreground" if one.is_binary else "one class"
    note = (
        f"Counted in {which} images of the {_part(one.split)} part. Objects are what hangs "
        f"together of {what}."
    )
    return {"mistakes": {"note": note, "distances": distances, "sizes": sizes}}


def _probabilities(found: Gathered) -> dict[str, Any]:
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


def _training(found: Gathered) -> dict[str, Any]:
    run = found.run
    charts = [(chart, said) for chart, said in _curves(run) if chart]
    notes = []
    if run.epochs:
        took = "" if math.isnan(run.seconds) else f" in {_duration(run.seconds)}"
        kept = "The last epoch was kept."
        if run.best_epoch is not None:
            kept = f"Epoch {run.best_epoch}, the best by {run.monitor}, was kept."
        notes.append(
            f"{plural(run.epochs, 'epoch')}, counted from 0,{took or ' were trained'}. {kept}"
        )
    return {
        "training_charts": charts,
        "training_notes": notes,
        "diagnoses": run.diagnoses,
        "folds": list(run.folds),
    }


def _curves(run: RunRecord) -> Iterator[tuple[Markup, str]]:
    epochs = run.history.get("epoch", [])

    def line(column: str, name: str, style: str) -> Line:
        return Line(name, list(zip(epochs, run.history[column], strict=True)), style)

    kept = [] if run.best_epoch is None else [Mark(float(run.best_epoch), "kept")]
    losses = {"train_loss": ("training", "a"), "valid_loss": ("validation", "b")}
    lines = [line(name, *how) for name, how in losses.items() if name in run.history]
    yield line_chart("Loss by epoch", "epoch", lines, marks=kept), "Loss."
    wanted = [name for name in dict.fromkeys([run.monitor, *_CURVES]) if name in run.scores]
    shown = [
        line(name, _SCORES.get(name, name), style)
        for name, style in zip(wanted, "abcd", strict=False)
    ]
    caption = "Scores of the validation part, at the network's size."
    yield line_chart("Scores by epoch", "epoch", shown, marks=kept), caption
    rates = [Line("learning rate", run.rates)]
    yield (
        line_chart("Learning rate", "epochs done", rates),
        "The learning rate, as the plan has it.",
    )


def _data(found: Gathered) -> dict[str, Any]:
    audit = found.audit
    frequencies = audit.class_frequencies if audit else {}
    rows = [
        {"name": name, "shares": [part[name] for part in frequencies.values()]}
        for name in (audit.classes if audit and frequencies else ())
    ]
    serious = [f for f in audit.findings if f.severity != "note"] if audit else []
    notes = [f for f in audit.findings if f.severity == "note"] if audit else []
    said = found.notes.get("audit", "")
    if audit and not audit.findings and not said:
        said = "The audit of the files found nothing to mend."
    return {
        "data_facts": list(_data_facts(found)),
        "class_shares": {"parts": [_part(p) for p in frequencies], "rows": rows} if rows else None,
        "findings": [*serious, *notes],
        "audit_note": said,
    }


def _data_facts(found: Gathered) -> Iterator[tuple[str, str]]:
    run, codec, audit = found.run, found.segmenter.codec, found.audit
    if run.plan is not None:
        yield "folder", str(run.plan.files.data)
    counts = [f"{len(pairs)} {_part(name)}" for name, pairs in found.parts.items() if pairs]
    skipped = f"; {run.skipped} left out" if run.skipped else ""
    yield "images", ", ".join(counts) + skipped
    if groups := {pair.group for pairs in found.parts.values() for pair in pairs if pair.group}:
        yield "groups", f"{len(groups)}, each in one part"
    if audit and audit.sizes:
        counted = [f"{count} of {size}" for size, count in audit.sizes.items()]
        sizes = counted if len(counted) > 1 else list(audit.sizes)
        yield "sizes", f"{listing(sizes, 6)} (height x width)"
    preprocess = found.segmenter.preprocess
    channels = {1: "grey", 3: "RGB"}.get(preprocess.channels, f"{preprocess.channels} channels")
    yield "pixels", f"{channels}, {preprocess.describe()}"
    yield "masks", "; ".join(line.rstrip(".") for line in codec.describe().splitlines()[:-1])
    size = "x".join(map(str, preprocess.size))
    seen = f"the whole image, resized to {size}"
    if not preprocess.sees_whole:
        seen = f"patches of {size} at {preprocess.scale:g} of the resolution"
    yield "the network sees", seen
    if found.detail and found.detail.summary:
        yield "detail", found.detail.summary


def _labels(found: Gathered) -> dict[str, Any]:
    return {"label_errors": list(found.run.label_errors)}


def _predicted(found: Gathered) -> dict[str, Any]:
    document = found.run.predicted_dice
    images = [one for one in document.get("images", ()) if "predicted" in one]
    if not images:
        return {"predicted": None}
    both = [(float(i["predicted"]), float(i["dice"])) for i in images if i.get("dice") is not None]
    said = "For new images that have no mask, the Dice can be predicted."
    error, rank = document.get("mean_absolute_error"), document.get("rank_correlation")
    if error is not None:
        said += f" On these images it was off by {error:.3f} on average"
        said += "." if rank is None else f"; the rank correlation is {rank:.2f}."
    lowest: list[Row] = [
        {
            "image": str(one.get("name", "")),
            "predicted Dice": score(one["predicted"]),
            "measured Dice": score(one.get("dice")),
        }
        for one in sorted(images, key=lambda one: one["predicted"])
    ]
    chart = scatter_chart("Predicted and measured Dice", "predicted Dice", both) if both else ""
    part = _part(str(document.get("part", found.evaluation.split)))
    return {"predicted": {"sentence": said, "chart": chart, "lowest": lowest, "part": part}}


def _plan(found: Gathered) -> dict[str, Any]:
    run = found.run
    if run.plan is None:
        return {"plan_rows": [], "plan_defaults": [], "reasons": False}
    why = {reason.field: reason for reason in run.reasons}
    chosen: list[Row] = []
    defaults: list[Row] = []
    for name, value, help_, is_default in _options(run.plan):
        reason = why.get(name)
        row = {
            "name": name,
            "value": "x".join(map(str, value)) if name in _SIDES and value else _as_text(value),
            "help": help_,
            "reason": reason.reason if reason else "",
            "fact": str(reason.fact) if reason else "",
        }
        (defaults if is_default and reason is None else chosen).append(row)
    return {"plan_rows": chosen, "plan_defaults": defaults, "reasons": bool(why)}


def _options(plan: Plan) -> Iterator[tuple[str, Any, str, bool]]:
    """Name, value and help of each option, and whether it is at its default."""
    for group in GROUPS.values():
        for one in fields(group):
            value = plan.options[one.name]
            default = None if one.default is MISSING else one.default
            yield one.name, value, one.metadata["help"], value == default


def _as_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {one}" for key, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return listing(list(value), 12)
    return str(value)


def _usage(found: Gathered) -> dict[str, Any]:
    place = str(found.run.place)
    quoted = shlex.quote(place)
    python = (
        "from fastunet import Segmenter\n\n"
        f"segmenter = Segmenter.load({place!r})\n"
        'mask = segmenter.predict("photo.jpg")                # (height, width), class indices\n'
        'probabilities = segmenter.probabilities("photo.jpg")  # (classes, height, width)\n'
        f"names = segmenter.classes                            # {_names(found)}"
    )
    terminal = (
        f"fastunet predict {quoted} IMAGES --out masks --overlay\n"
        f"fastunet evaluate {quoted} DATA                 # scores on other images\n"
        f"fastunet train --plan {quoted}/plan.json --out AGAIN   # the same run again\n"
        f"fastunet autopsy {quoted}                       # why masks are bad\n"
        f"fastunet report {quoted}                        # this page again"
    )
    return {"python": python, "terminal": terminal}


def _names(found: Gathered) -> str:
    return listing(found.segmenter.classes, 4)


def _contents(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The sections that are there."""
    every = {
        "pictures": ("Pictures", True),
        "next": ("What to do next", True),
        "scores": ("Scores", True),
        "classes": ("Classes", True),
        "more": ("More images", made["more_examples"]),
        "mistakes": ("Errors", made["mistakes"]),
        "probabilities": ("Probabilities", made["probability_charts"]),
        "training": ("Training", made["training_charts"]),
        "folds": ("Cross-validation", made["folds"]),
        "data": ("Data", True),
        "labels": ("Label errors", made["label_errors"]),
        "predicted": ("Predicted Dice", made["predicted"]),
        "plan": ("Plan", made["plan_rows"]),
        "use": ("Use it", True),
    }
    return [(section, name) for section, (name, there) in every.items() if there]
