"""Every cause of bad masks that is known: a function from a `Case` to those that it shows.

A new one is a function here and its name in `CAUSES`. Their likelihoods are judgements: what alone
makes every mask black is near 1, what costs some Dice is below a half.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np

from fastunet._util.text import listing
from fastunet.causes.case import Case
from fastunet.causes.cause import Aspect, Cause
from fastunet.losses import CombinedLoss, PixelCrossEntropyLoss, PixelFocalLoss, TopKLoss
from fastunet.losses.class_weights import ClassWeights

_RARE = 0.02  # share of the pixels, below which a loss by pixels is content with background
_VERY_RARE = 0.002
_MOSTLY_EMPTY = 0.8  # of the masks
_GAIN = 0.05  # of Dice
_FEW_BATCHES = 100
_USUAL_RATES = 1e-5, 0.1
_GOOD = 0.7  # a Dice with which masks are not bad

_DIAGNOSED: dict[str, tuple[Aspect, float]] = {  # what the guard has said, and what it explains
    "no-foreground": ("data", 1.0),
    "not-finite": ("rate", 0.95),
    "exploding-gradients": ("rate", 0.9),
    "rate-far-from-suggested": ("rate", 0.75),
    "scores-never-move": ("rate", 0.7),
    "overfitting": ("training length", 0.5),
}


def diagnosed(case: Case) -> Iterator[Cause]:
    """What was diagnosed while it was trained."""
    for found in case.diagnoses:
        if found.name in _DIAGNOSED:
            aspect, likelihood = _DIAGNOSED[found.name]
            yield Cause(aspect, found.name, found.message, found.advice, likelihood, found.evidence)


def empty_masks(case: Case) -> Iterator[Cause]:
    """Training masks that hold nothing but background: they are so, or void took the rest."""
    if case.masks is None:
        return
    empty = case.masks.empty
    void = empty & (case.masks.void > 0)
    count, total = int(empty.sum()), len(empty)
    if void.mean() > 0.5:
        codec = case.codec.describe().splitlines()[0]
        yield Cause(
            "codec",
            "masks-read-as-void",
            f"{void.sum()} of {total} training masks hold nothing but {case.classes[0]} and void "
            f"as they are read: {codec}.",
            "Name the values of the classes: classes=, as fastunet audit DATA shows them.",
            0.98,
            {"masks": total, "void": int(void.sum())},
        )
    elif count == total:
        yield Cause(
            "data",
            "masks-are-empty",
            f"all {total} training masks that were read hold nothing but {case.classes[0]}.",
            "Look at the masks: fastunet audit DATA says what they hold.",
            1.0,
            {"masks": total, "empty": count},
        )
    elif count > _MOSTLY_EMPTY * total:
        yield Cause(
            "data",
            "most-masks-are-empty",
            f"{count} of {total} training masks hold nothing but {case.classes[0]}.",
            "Leave most of those images out of the training part.",
            0.6,
            {"masks": total, "empty": count},
        )


def rare_foreground(case: Case) -> Iterator[Cause]:
    """Classes that are hardly or never in the training masks."""
    if case.masks is None or case.masks.empty.all():
        return
    shares = case.masks.shares
    missing = [name for name, share in zip(case.classes, shares, strict=True) if share == 0]
    if missing:
        yield Cause(
            "data",
            "class-not-in-training",
            f"{listing(missing, 5)}: no pixel in the {len(case.masks.pixels)} training masks that "
            "were read.",
            "Move images that show them into the training part.",
            0.4,
            {"classes": ", ".join(missing)},
        )
    foreground = float(1 - shares[0])
    if 0 < foreground < _VERY_RARE:
        yield Cause(
            "data",
            "rare-foreground",
            f"{100 * foreground:.2g} % of the training pixels are anything but {case.classes[0]}.",
            "Train on patches, which are drawn around the foreground: patch=256.",
            0.5,
            {"foreground_share": foreground},
        )


def loss_by_pixels(case: Case) -> Iterator[Cause]:
    """A loss that counts pixels alone, where nearly all pixels are background."""
    if case.loss is None or case.masks is None:
        return
    loss, foreground = case.loss, float(1 - case.masks.shares[0])
    by_pixels = isinstance(loss, PixelCrossEntropyLoss | PixelFocalLoss | TopKLoss)
    if isinstance(loss, CombinedLoss):
        by_pixels = loss.weights.keys() <= {"ce", "focal", "topk"}
    weighted = any(
        module.values is not None for module in loss.modules() if isinstance(module, ClassWeights)
    )
    if by_pixels and not weighted and foreground < _RARE:
        yield Cause(
            "loss",
            "loss-by-pixels",
            f"{type(loss).__name__} counts pixels, of which {100 * foreground:.2g} % are anything "
            f"but {case.classes[0]}: all {case.classes[0]} is nearly as good as it gets.",
            "Take a loss by regions too, as the default does: loss_func=CombinedLoss().",
            0.8 if is_black(case) else 0.3,
            {"foreground_share": foreground},
        )


def unusual_rate(case: Case) -> Iterator[Cause]:
    """A learning rate with which hardly any network learns."""
    low, high = _USUAL_RATES
    told = any(cause.aspect == "rate" for cause in diagnosed(case))
    if case.rate is None or told or low <= case.rate <= high:
        return
    what = "far above" if case.rate > high else "far below"
    yield Cause(
        "rate",
        "unusual-rate",
        f"the peak learning rate was {case.rate:.3g}, {what} the usual 0.0001 to 0.01.",
        "Ask lr_find for one, and take its suggestion.",
        0.65,
        {"rate": case.rate},
    )


def threshold(case: Case) -> Iterator[Cause]:
    """Another threshold would give much better masks, and not only by making all foreground."""
    if case.evaluation is None or case.evaluation.probabilities is None:
        return
    curve = np.array(
        [-1 if dice is None else dice for dice in case.evaluation.probabilities.threshold_dice]
    )
    if not len(curve):
        return
    used = float(curve[min(len(curve) - 1, int(case.threshold * len(curve)))])
    best = int(curve.argmax())
    _, true = predicted_shares(case) or (0.0, 0.0)
    all_foreground = 2 * true / (1 + true)
    gain = float(curve[best]) - max(0.0, used, all_foreground)
    if gain < _GAIN:
        return
    value, dice = best / len(curve), float(curve[best])
    yield Cause(
        "threshold",
        "threshold",
        f"at the threshold of {case.threshold:.3g} Dice is {max(0.0, used):.2f}; at {value:.3g} it "
        f"would be {dice:.2f}.",
        f"Set learn.threshold = {value:.3g} (best_threshold finds it) and save the bundle again.",
        min(0.97, 0.5 + gain),
        {"threshold": case.threshold, "dice": used, "best": value, "best_dice": dice},
    )


def resolution(case: Case) -> Iterator[Cause]:
    """Structures that are lost at the network's size."""
    found = case.resolution
    if found is None or not found.lost:
        return
    worst = found.best_dice[found.lost[0]]
    yield Cause(
        "resolution",
        "resolution-loss",
        found.message,
        found.advice,
        min(0.9, 1 - worst),
        {"class": found.classes[found.lost[0]], "best_dice": worst},
    )


def too_short(case: Case) -> Iterator[Cause]:
    """It was still learning when it ended, or had hardly begun."""
    epochs = len(case.scores)
    if case.batches is not None and 0 < case.batches < _FEW_BATCHES:
        yield Cause(
            "training length",
            "few-batches",
            f"it was trained for {case.batches} batches in {epochs} epochs.",
            f"Train for some hundred batches at least: {5 * max(1, epochs)} epochs.",
            0.6 if is_bad(case) else 0.2,
            {"batches": case.batches, "epochs": epochs},
        )
        return
    score = [row[case.monitor] for row in case.scores if case.monitor in row]
    quarter = max(1, len(score) // 4)
    if "loss" in case.monitor or len(score) < 4 or not all(map(math.isfinite, score)):
        return
    gain = max(score[-quarter:]) - max(score[:-quarter])
    if gain > 0.02:
        yield Cause(
            "training length",
            "still-improving",
            f"{case.monitor} rose by {gain:.2f} in the last {quarter} of {epochs} epochs.",
            f"Train longer: {2 * epochs} epochs.",
            0.45 if is_bad(case) else 0.2,
            {"epochs": epochs, "gain": gain},
        )


def looks_black(case: Case) -> Iterator[Cause]:
    """Masks of class indices look black in a viewer, however right they are."""
    if case.evaluation is None or is_bad(case):
        return
    last = len(case.classes) - 1
    yield Cause(
        "encoding",
        "class-indices-look-black",
        f"the masks are not black: Dice is {case.evaluation.dice:.2f}. They hold class indices, 0 "
        f"to {last} of 255, which look black in many viewers.",
        'Look at them with overlay=, or write values="original" (fastunet predict --values).',
        0.1,
        {"dice": case.evaluation.dice, "highest": last},
    )


def predicted_shares(case: Case) -> tuple[float, float] | None:
    """The share of the pixels predicted as anything but the first class, and what it truly is."""
    if case.evaluation is None:
        return None
    table = case.evaluation.confusion
    total = max(1, table.sum())
    return float(table[:, 1:].sum() / total), float(table[1:].sum() / total)


def is_black(case: Case) -> bool:
    """Whether hardly any pixel is predicted as anything but the first class, though some are."""
    shares = predicted_shares(case)
    return shares is not None and shares[0] <= 0.1 * shares[1] > 0


def is_bad(case: Case) -> bool:
    """Whether the masks are worse than a training should give."""
    return case.evaluation is None or not case.evaluation.dice >= _GOOD


CAUSES: tuple[Callable[[Case], Iterator[Cause]], ...] = (
    diagnosed,
    empty_masks,
    rare_foreground,
    loss_by_pixels,
    unusual_rate,
    threshold,
    resolution,
    too_short,
    looks_black,
)
