"""Evaluations as text for a terminal: every number with what it means."""

from collections.abc import Iterator, Sequence

from fastunet.evaluation.result import Evaluation, Interval
from fastunet.evaluation.serialise import RESOLUTION, how_intervals_are_made

_WORST = 3  # images that are named


def as_text(evaluation: Evaluation) -> str:
    """The whole table."""
    several = "" if evaluation.images == 1 else "s"
    size = RESOLUTION.replace("the images'", "their")
    return "\n".join([
        f"{evaluation.split}: {evaluation.images} image{several} at {size}, "
        "pixels counted over all",
        *_classes(evaluation),
        *(f"  {line}" for line in _overall(evaluation)),
        *(f"  {line}" for line in _further(evaluation)),
        *(f"  {line}" for line in _rules(evaluation)),
    ])  # fmt: skip


def shown(value: float | None, interval: Interval = None) -> str:
    """`0.8123 [0.7911, 0.8301]`; what does not exist is absent."""
    if value is None or value != value:
        return "absent"
    return f"{value:.4f}" + (f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else "")


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table; the first column is flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  " + "  ".join([first.ljust(widths[0]), *cells])


def _classes(evaluation: Evaluation) -> Iterator[str]:
    outlines = evaluation.outlines
    titles = {"hd95": "HD95", "surface_dice": "surf. Dice", "boundary_iou": "bound. IoU"}
    rows = [["class", "Dice", "IoU", "prec.", "recall", "spec.", "pixels", "images",
             *(titles[name] for name in outlines)]]  # fmt: skip
    for index, row in enumerate(evaluation.per_class):
        rows.append([
            row.name,
            shown(row.dice, row.dice_interval),
            shown(row.iou, row.iou_interval),
            *map(shown, (row.precision, row.recall, row.specificity)),
            f"{row.pixels:,}",
            str(row.images),
            *(shown(means[index]) for means in outlines.values()),
        ])  # fmt: skip
    return columns(rows)


def _overall(evaluation: Evaluation) -> Iterator[str]:
    values = {name: shown(value, evaluation.intervals[name])
              for name, value in evaluation.overall.items()}  # fmt: skip
    binary = len(evaluation.classes) == 2
    mean = "foreground" if binary else "mean over classes"
    yield f"Dice {values['dice']}, mean IoU {values['mean_iou']} ({mean})"
    yield f"pixel accuracy {values['pixel_accuracy']}"
    if not binary:
        yield f"Dice {values['dice_micro']}, IoU {values['iou_micro']} (classes added up: micro)"
    yield f"Dice {values['dice_per_image']}, IoU {values['iou_per_image']} (mean over images)"


def _further(evaluation: Evaluation) -> Iterator[str]:
    found, objects = evaluation.probabilities, evaluation.objects
    if found is not None:
        yield (
            f"expected calibration error {shown(found.calibration_error)}, "
            f"Brier score {shown(found.brier)}"
        )
    if objects is not None:
        yield (
            f"objects: {objects.found} of {objects.true} found, {objects.merged} merged, "
            f"{objects.split} split; {objects.invented} of {objects.predicted} invented"
        )
    if evaluation.boundary is not None:
        yield "outlines: means over images, HD95 in pixels where a class is true and predicted"


def _rules(evaluation: Evaluation) -> Iterator[str]:
    decision = "the most probable class"
    if evaluation.threshold is not None:
        decision = f"foreground above the threshold {evaluation.threshold:g}"
    yield f"void left out; absent classes left out of means; {decision}"
    yield f"intervals: {how_intervals_are_made(evaluation)}"
    worst = evaluation.worst(_WORST)
    if evaluation.images > 1 and worst:
        yield "worst Dice: " + ", ".join(f"{name} {dice:.4f}" for name, dice in worst)
