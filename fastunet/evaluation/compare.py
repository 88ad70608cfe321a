"""Whether one model is better than another on the same images: a paired bootstrap.

Both are scored on the same resamples of the images (or of groups of them), and it is the
difference whose interval is told: images that are hard for both do not blur it (Efron & Tibshirani
1993, chapter 16; Koehn 2004, https://aclanthology.org/W04-3250, does so for translations).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from fastunet._util.text import listing
from fastunet.errors import EvaluationError
from fastunet.evaluation.bootstrap import Bootstrap, Interval, sum_by_group
from fastunet.evaluation.outcomes import ScoreRows
from fastunet.evaluation.printed import columns, shown
from fastunet.evaluation.result import Evaluation
from fastunet.evaluation.serialise import plain

_MOVED = 5  # images that are told


@dataclass(frozen=True)
class Difference:
    """A score of both, and a minus b. What does not exist is nan."""

    score: str  # "dice", "mean_iou", or "dice of" and "iou of" a class
    a: float
    b: float
    difference: float
    interval: Interval  # of the difference; None where there is one image or group only
    a_better: float | None  # the share of resamples in which a scores higher


@dataclass(frozen=True)
class Comparison:
    """Two evaluations of the same images, a minus b; `print` it."""

    images: int
    units: int  # that were resampled: images, or groups of them
    grouped: bool  # they were groups
    differences: tuple[Difference, ...]  # of all classes first
    moved: tuple[tuple[str, float, float], ...]  # name, Dice of a, of b; most first
    bootstrap: Bootstrap = field(default_factory=Bootstrap)

    def to_dict(self) -> dict:
        """Plain JSON values; a score that does not exist is null."""
        return plain(self)

    def __str__(self) -> str:
        """A table for people."""
        return "\n".join(_lines(self))


def compare(
    a: Evaluation,
    b: Evaluation,
    bootstrap: Bootstrap | None = None,  # None: as `a` has it
) -> Comparison:
    """How much better `a` is than `b`, with intervals and the images that moved most.

    Images are matched by name, so their order does not matter; thresholds may differ. Groups are
    those of `a`.

    Raises `EvaluationError`, naming them, where images are in one of them only, where classes
    differ, or where an image has other masks.

    >>> print(compare(Evaluation.load("new"), Evaluation.load("old")))
    """
    bootstrap = bootstrap or a.bootstrap
    of_a, of_b = (np.argsort(each.names, kind="stable") for each in (a, b))  # in order of names
    _check_alike(a, b, of_a, of_b)
    rows = np.stack([a.rows.values[of_a], b.rows.values[of_b]])  # (2, N, K), as below
    units = [a.units[index] for index in of_a]
    both = sum_by_group(np.concatenate(rows, axis=1), units)
    total = _scores(rows.sum(1), a.classes)
    resampled = _scores(np.stack(np.split(bootstrap.sums(both), 2, axis=1)), a.classes)
    differences = []
    for name, scores in total.items():
        score_a, score_b = scores.tolist()
        changes = resampled[name][0] - resampled[name][1]
        known, interval = changes[~np.isnan(changes)], bootstrap.interval(changes)
        better = float((known > 0).mean()) if len(known) else None
        row = Difference(name, score_a, score_b, score_a - score_b, interval, better)
        differences.append(row)
    moved = _moved(a, of_a, b, of_b)
    return Comparison(a.images, len(both), any(a.groups), tuple(differences), moved, bootstrap)


def _check_alike(a: Evaluation, b: Evaluation, of_a: np.ndarray, of_b: np.ndarray) -> None:
    if a.classes != b.classes:
        raise EvaluationError(
            f"The classes differ: {listing(a.classes)} and {listing(b.classes)}. Only evaluations "
            "of the same classes in the same order can be compared."
        )
    only = [sorted(set(one.names) - set(other.names)) for one, other in ((a, b), (b, a))]
    if any(only):
        found = [
            f"only in the {which} ({len(names)}): {listing(names)}"
            for which, names in zip(("first", "second"), only, strict=True)
            if names
        ]
        raise EvaluationError(
            f"The images differ; {'; '.join(found)}. Evaluate both models on the same images."
        )
    differ = (a.outcomes.true[of_a] != b.outcomes.true[of_b]).any(1)
    other = [a.names[index] for index in of_a[differ]]
    if other:
        raise EvaluationError(
            f"The true masks differ in {len(other)} of {a.images} images: {listing(other)}. "
            "Evaluate both models with the same masks and the same void."
        )


def _scores(sums: np.ndarray, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Dice and IoU of all classes and of each, by name, of the values of `ScoreRows`."""
    rows = ScoreRows(sums)
    overall = rows.overall()
    found = {name: overall[name] for name in ("dice", "mean_iou")}
    for score in ("dice", "iou"):
        values = rows.by_class(score)
        found |= {f"{score} of {name}": values[..., i] for i, name in enumerate(classes)}
    return found


def _moved(
    a: Evaluation, of_a: np.ndarray, b: Evaluation, of_b: np.ndarray
) -> tuple[tuple[str, float, float], ...]:
    """The images whose own Dice differs most, the most first."""
    dice_a, dice_b = a.per_image["dice"][of_a], b.per_image["dice"][of_b]
    change = np.nan_to_num(np.abs(dice_a - dice_b))
    most = (-change).argsort(kind="stable")[:_MOVED]
    found = [(a.names[of_a[i]], float(dice_a[i]), float(dice_b[i])) for i in most if change[i] > 0]
    return tuple(found)


def _lines(comparison: Comparison) -> Iterator[str]:
    boot = comparison.bootstrap
    yield f"{comparison.images} images, two evaluations; pixels counted over all, void left out"
    rows = [["score", "a", "b", "a - b", "a better in"]]
    for row in comparison.differences:
        share = "" if row.a_better is None else f"{100 * row.a_better:.1f} %"
        difference = shown(row.difference, row.interval)
        rows.append([row.score, shown(row.a), shown(row.b), difference, share])
    yield from columns(rows)
    what = "groups of images" if comparison.grouped else "images"
    if boot.resamples and comparison.units > 1:
        yield (
            f"  intervals and shares: {100 * boot.confidence:g} % percentile intervals from "
            f"{boot.resamples} paired bootstrap resamples of the {comparison.units} {what}, "
            f"seed {boot.seed}"
        )
    else:
        yield "  no intervals: resamples of several images or groups would be needed"
    if comparison.moved:
        moved = [(name, shown(a), shown(b)) for name, a, b in comparison.moved]
        yield from columns([("moved most (Dice)", "a", "b"), *moved])
