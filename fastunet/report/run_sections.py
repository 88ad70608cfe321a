"""The sections of the run: training, data and plan, as values for the page."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from markupsafe import Markup

from fastunet._util.text import listing, plural
from fastunet.plan import GROUPS, Plan
from fastunet.report.charts import Line, Mark, line_chart, scatter_chart
from fastunet.report.gathered import Gathered
from fastunet.report.run_record import Row, RunRecord
from fastunet.report.score_sections import SCORE_NAMES
from fastunet.report.wording import duration, part_name, score

_CURVES = ("dice", "mean_iou", "pixel_accuracy")  # of the scores by epoch
_SIDES = ("size", "patch")  # options that are height and width


def training(found: Gathered) -> dict[str, Any]:
    """Losses, scores and rate by epoch, and what went wrong."""
    run = found.run
    charts = [(chart, said) for chart, said in _curves(run) if chart]
    notes = []
    if run.epochs:
        took = "" if math.isnan(run.seconds) else f" in {duration(run.seconds)}"
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
    if len(epochs) < 2:
        return

    def line(column: str, name: str, style: str) -> Line:
        return Line(name, list(zip(epochs, run.history[column], strict=True)), style)

    kept = [] if run.best_epoch is None else [Mark(float(run.best_epoch), "kept")]
    losses = {"train_loss": ("training", "a"), "valid_loss": ("validation", "b")}
    lines = [line(name, *how) for name, how in losses.items() if name in run.history]
    yield line_chart("Loss by epoch", "epoch", lines, marks=kept), "The loss of each part."
    wanted = [name for name in dict.fromkeys([run.monitor, *_CURVES]) if name in run.scores]
    shown = [
        line(name, SCORE_NAMES.get(name, name), style)
        for name, style in zip(wanted, "abcd", strict=False)
    ]
    caption = "Scores of the validation part, at the network's size."
    yield line_chart("Scores by epoch", "epoch", shown, marks=kept), caption
    rates = [Line("learning rate", run.rates)]
    yield (
        line_chart("Learning rate", "epochs done", rates),
        "The learning rate, as the plan has it.",
    )


def data(found: Gathered) -> dict[str, Any]:
    """What the data are, and what the audit found."""
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
        "class_shares": {"parts": [part_name(p) for p in frequencies], "rows": rows}
        if rows
        else None,
        "findings": [*serious, *notes],
        "audit_note": said,
    }


def _data_facts(found: Gathered) -> Iterator[tuple[str, str]]:
    run, codec, audit = found.run, found.segmenter.codec, found.audit
    if run.plan is not None:
        yield "folder", str(run.plan.files.data)
    counts = [f"{len(pairs)} {part_name(name)}" for name, pairs in found.parts.items() if pairs]
    skipped = f"; {run.skipped} left out" if run.skipped else ""
    yield "images", ", ".join(counts) + skipped
    if groups := {pair.group for pairs in found.parts.values() for pair in pairs if pair.group}:
        yield "groups", f"{len(groups)} groups of images"
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
        share = "" if preprocess.scale == 1 else f"{preprocess.scale:g} of "
        seen = f"patches of {size} at {share}the images' own resolution"
    yield "the network sees", seen
    if found.detail and found.detail.summary:
        yield "detail", found.detail.summary


def labels(found: Gathered) -> dict[str, Any]:
    """Suspected label errors."""
    return {"label_errors": list(found.run.label_errors), "suspects": found.suspects}


def predicted(found: Gathered) -> dict[str, Any]:
    """The Dice that is predicted for images without masks."""
    document = found.run.predicted_dice
    images = [one for one in document.get("images", ()) if _is_number(one.get("predicted"))]
    if not images:
        return {"predicted": None}
    both = [(one["predicted"], one["dice"]) for one in images if _is_number(one.get("dice"))]
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
    part = part_name(str(document.get("part", found.evaluation.split)))
    return {"predicted": {"sentence": said, "chart": chart, "lowest": lowest, "part": part}}


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and math.isfinite(value)


def plan(found: Gathered) -> dict[str, Any]:
    """What was done, and why."""
    run = found.run
    if run.plan is None:
        return {"plan_rows": [], "plan_defaults": [], "reasons": False}
    why = {reason.field: reason for reason in run.reasons}
    chosen: list[Row] = []
    defaults: list[Row] = []
    for name, value, help_, is_default in _options(run.plan):
        reason = why.pop(name, None)
        row = {
            "name": name,
            "value": "x".join(map(str, value)) if name in _SIDES and value else _as_text(value),
            "help": help_,
            "reason": reason.reason if reason else "",
            "fact": str(reason.fact) if reason else "",
        }
        (defaults if is_default and reason is None else chosen).append(row)
    for reason in why.values():  # of what is no option
        row = {"name": reason.field, "value": _as_text(reason.value), "help": ""}
        chosen.append(row | {"reason": reason.reason, "fact": str(reason.fact)})
    return {"plan_rows": chosen, "plan_defaults": defaults, "reasons": bool(run.reasons)}


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
