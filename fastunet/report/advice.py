"""What to do next: each advice from measured facts, the one that should bring most first.

A new one is a function here and its name in `ADVICES`. What an advice brings is Dice, at most, as
the numbers of this run allow: an estimate to choose by, no promise.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fastunet._util.text import listing, plural
from fastunet.checks.report import Audit
from fastunet.checks.resolution import Resolution
from fastunet.evaluation.outcomes import Outcomes, ScoreRows
from fastunet.evaluation.result import Evaluation
from fastunet.report.mistakes import SIDES, Mistakes
from fastunet.report.run_record import RunRecord

_LEAST = 0.005  # of Dice: what brings less is not worth to be said
_FEW_IMAGES = 10  # to measure on
_WIDE = 0.03  # half of an interval from which more images are advised
_NEAR = 0.7  # share of the errors from which outlines are spoken of
_UNSURE = 0.05  # calibration error
_INVENTED = 0.1  # share of the predicted objects
_MISSED = 0.25  # share of the objects of a size
_OBJECTS = 20  # from which a share of them means something
_WORST_SHARE = 0.05  # of the images
_FEW_EPOCHS = 4
_FEW_BATCHES = 100  # with which next to nothing is learned
_EVERYWHERE = 0.99  # share of the pixels


@dataclass(frozen=True)
class Advice:
    """One thing to do, and the measured reason."""

    title: str
    text: str
    gain: float | None = None  # of Dice, at most; None: not known in Dice
    urgent: bool = False  # before it no score is to be trusted, or the training went wrong


@dataclass(frozen=True)
class Facts:
    """What was measured of a run, for advices."""

    run: RunRecord
    evaluation: Evaluation  # of the part that counts
    mistakes: Mistakes | None = None
    audit: Audit | None = None
    detail: Resolution | None = None  # what the network's size leaves of the masks


Adviser = Callable[[Facts], Iterator[Advice]]


def advices(facts: Facts) -> list[Advice]:
    """All that apply: the urgent ones, then those that should bring most, then the others."""
    found = [advice for advise in ADVICES for advice in advise(facts)]
    found = [one for one in found if one.urgent or one.gain is None or one.gain >= _LEAST]
    return sorted(found, key=lambda one: (not one.urgent, -(one.gain or 0.0)))


# --- can the score be trusted, did the training go well -------------------------------------------


def leaks(facts: Facts) -> Iterator[Advice]:
    """Images that are in two parts, or have their like in another."""
    for finding in facts.audit.findings if facts.audit else ():
        if finding.code.endswith("-across-splits"):
            what = "groups" if finding.code.startswith("group") else "copies"
            text = f"{finding.message} {finding.remedy}"
            yield Advice(f"Keep {what} in one part", text, urgent=True)


def diagnosed(facts: Facts) -> Iterator[Advice]:
    """What the guard has seen go wrong."""
    for one in facts.run.diagnoses:
        title = one.name.replace("-", " ").capitalize()
        yield Advice(title, f"In the training {one.message} {one.advice}", urgent=True)


def hardly_trained(facts: Facts) -> Iterator[Advice]:
    """A training that was over before it began."""
    batches = facts.run.batches
    if batches is not None and batches < _FEW_BATCHES:
        yield Advice(
            "Train longer",
            f"Only {plural(batches, 'batch', 'batches')} were trained, in "
            f"{plural(facts.run.epochs, 'epoch')}: some hundreds are the least. Give it more "
            "epochs= or minutes=, smaller images (size=), or smaller batches (bs=).",
            urgent=True,
        )


def one_class_everywhere(facts: Facts) -> Iterator[Advice]:
    """Predictions that tell nothing apart."""
    one = facts.evaluation
    total = max(1, one.confusion.sum())
    predicted, true = one.confusion.sum(0) / total, one.confusion.sum(1) / total
    most = int(predicted.argmax())
    if predicted[most] > _EVERYWHERE and true[most] < predicted[most] - (1 - _EVERYWHERE):
        yield Advice(
            "Find out why one class is predicted everywhere",
            f"{100 * predicted[most]:.4g} % of the pixels are predicted as {one.classes[most]}; "
            f"{100 * true[most]:.3g} % are. fastunet autopsy {facts.run.place} looks for the "
            "cause.",
            urgent=True,
        )


def no_test_part(facts: Facts) -> Iterator[Advice]:
    """The score is of images that have chosen the model."""
    if facts.evaluation.split != "valid":
        return
    chosen = "The best epoch was"
    if facts.evaluation.threshold is not None:
        chosen = "The best epoch and the threshold were"
    yield Advice(
        "Keep a test part",
        f"{chosen} chosen on the {plural(facts.evaluation.images, 'validation image')}, so that "
        "the score is a little too good. test_pct=0.2 keeps a fifth of the images for the end.",
    )


def few_images(facts: Facts) -> Iterator[Advice]:
    """A score that is not known well."""
    one, interval = facts.evaluation, facts.evaluation.intervals["dice"]
    half = (interval[1] - interval[0]) / 2 if interval else math.nan
    images = plural(one.images, "image")
    if len(set(one.units)) < _FEW_IMAGES:
        text = f"{images}, or groups of them, tell little; the interval of so few is too narrow."
    elif half >= _WIDE:
        text = (
            f"With {images} the Dice is known to about {half:.3f} either way. Four times as many "
            "would halve that."
        )
    else:
        return
    yield Advice("Measure on more images", text)


# --- what raises the score ------------------------------------------------------------------------


def other_threshold(facts: Facts) -> Iterator[Advice]:
    """A threshold that would have been better."""
    one = facts.evaluation
    if one.threshold is None or one.probabilities is None:
        return
    curve = np.array(one.probabilities.threshold_dice, float)
    if not len(curve) or np.isnan(curve).all():
        return
    best = int(np.nanargmax(curve))
    yield Advice(
        "Look at the threshold",
        f"On these images {best / len(curve):.2f} gives a Dice of {curve[best]:.3f}; in use is "
        f"{one.threshold:.2f} with {one.dice:.3f}. More validation images choose it better.",
        float(curve[best]) - one.dice,
    )


def lost_detail(facts: Facts) -> Iterator[Advice]:
    """What the network's size takes from the masks."""
    detail = facts.detail
    if detail is None or not detail.summary:
        return
    dice = np.array(detail.best_dice[1:] if len(detail.classes) == 2 else detail.best_dice)
    if np.isnan(dice).all():
        return
    ceiling = float(np.nanmean(dice))
    gain = min(1 - ceiling, 1 - facts.evaluation.dice)
    what = detail.advice or "Try a larger size=, or patch= at the images' own resolution."
    yield Advice(
        "Show the network more detail",
        f"{detail.summary[0].upper()}{detail.summary[1:]}. A network that made no mistake would "
        f"come to {ceiling:.3f}. {what}",
        gain,
    )


def longer_training(facts: Facts) -> Iterator[Advice]:
    """A score that still rose at the end."""
    history = facts.run.history
    name = facts.run.monitor if facts.run.monitor in history else "dice"
    score = [value for value in history.get(name, ()) if math.isfinite(value)]
    if len(score) < _FEW_EPOCHS or "loss" in name or any(hardly_trained(facts)):
        return
    best = int(np.argmax(score))
    if best < 0.9 * (len(score) - 1):
        return
    before = score[: math.ceil(0.75 * len(score))]
    yield Advice(
        "Train longer",
        f"The best of {len(score)} epochs was number {best + 1}, and in the last quarter {name} "
        f"still rose from {max(before):.3f} to {score[best]:.3f}. "
        f"Try epochs={2 * len(score)}, or twice the minutes=.",
        min(score[best] - max(before), 1 - facts.evaluation.dice),
    )


def never_found(facts: Facts) -> Iterator[Advice]:
    """Classes of which not a pixel is right."""
    one = facts.evaluation
    rows = [row for row in one.per_class if row.pixels]
    missing = [row.name for row in rows if row.dice == 0]
    found = [row.dice for row in rows if row.dice > 0]
    if one.is_binary or not missing or not found:
        return
    yield Advice(
        f"Find {listing(missing, 3)}",
        f"{plural(len(missing), 'class is', 'classes are')} never found; the median of the others "
        f"is {np.median(found):.3f}. Rare classes come late: train longer, or take a loss that "
        'weighs classes alike (loss="dice").',
        float(np.median(found)) * len(missing) / len(rows),
    )


def weakest_class(facts: Facts) -> Iterator[Advice]:
    """The class that pulls the mean down."""
    one = facts.evaluation
    rows = [row for row in one.per_class if row.pixels and row.dice > 0]
    if one.is_binary or len(rows) < 3:
        return
    weakest = min(rows, key=lambda row: row.dice)
    usual = float(np.median([row.dice for row in rows]))
    share = weakest.pixels / max(1, sum(row.pixels for row in rows))
    yield Advice(
        f"Add images with {weakest.name}",
        f"{weakest.name} has a Dice of {weakest.dice:.3f}; the median of the classes is "
        f"{usual:.3f}. It is {100 * share:.2g} % of the pixels, in {weakest.images} of "
        f"{plural(one.images, 'image')}.",
        (usual - weakest.dice) / len(rows),
    )


def taken_for_another(facts: Facts) -> Iterator[Advice]:
    """The two classes that are mistaken for each other most."""
    one = facts.evaluation
    wrong = one.confusion.copy()
    np.fill_diagonal(wrong, 0)
    if one.is_binary or not wrong.any():
        return
    both = np.triu(wrong + wrong.T)
    a, b = (int(i) for i in np.unravel_index(both.argmax(), both.shape))
    mended = one.confusion.copy()
    for true, predicted in ((a, b), (b, a)):
        mended[true, true] += mended[true, predicted]
        mended[true, predicted] = 0
    gain = _mean_dice(mended) - _mean_dice(one.confusion)
    yield Advice(
        f"Tell {one.classes[a]} from {one.classes[b]}",
        f"{100 * both[a, b] / wrong.sum():.0f} % of the wrong pixels are {one.classes[a]} taken "
        f"for {one.classes[b]}, or the other way round. Are they told apart in the same way in "
        "all masks? Add images that show both.",
        gain,
    )


def _mean_dice(confusion: np.ndarray) -> float:
    tp, fp, fn = Outcomes.of(confusion)
    with np.errstate(invalid="ignore"):
        return float(np.nanmean(2 * tp / (2 * tp + fp + fn)))


def worst_images(facts: Facts) -> Iterator[Advice]:
    """A few images that cost much."""
    one = facts.evaluation
    count = max(1, round(_WORST_SHARE * one.images))
    dice = one.per_image["dice"]
    known = np.flatnonzero(~np.isnan(dice))
    if len(known) < 10:
        return
    worst = known[dice[known].argsort(kind="stable")][:count]
    rest = np.setdiff1d(np.arange(one.images), worst)
    without = float(ScoreRows(one.rows.values[rest]).sum().overall()["dice"])
    names = [one.names[i] for i in worst]
    yield Advice(
        "Look at the worst images",
        f"Without {listing(names, 3)} the Dice would be {without:.3f} instead of {one.dice:.3f}. "
        "Are their masks right? Are there enough images like them to learn from?",
        without - one.dice,
    )


def small_objects(facts: Facts) -> Iterator[Advice]:
    """Objects up to a size at which many are missed."""
    one, mistakes = facts.evaluation, facts.mistakes
    if not one.is_binary or mistakes is None:
        return
    each, found_each = mistakes.sizes[: len(SIDES), :2].T
    rows = np.flatnonzero(each - found_each > _MISSED * each)
    if not len(rows):
        return
    row = int(rows[-1])
    objects, found, pixels, right = mistakes.sizes[: row + 1].sum(0).tolist()
    if objects < _OBJECTS or objects - found < _MISSED * objects:
        return
    true, tp = mistakes.sizes[:, 2:].sum(0).tolist()
    wrong, lost = int(mistakes.distances[:, 1].sum()), pixels - right  # missed and invented; missed
    better = 2 * (tp + lost) / (2 * (tp + lost) + wrong - lost)
    yield Advice(
        "Find small objects",
        f"Of {objects} objects below {SIDES[row]} pixels across {objects - found} are missed, "
        f"{100 * lost / max(1, true - tp):.0f} % of all missed pixels. A larger size=, or patch= "
        "at the images' own resolution, shows them larger.",
        better - 2 * tp / (2 * tp + wrong),
    )


# --- what else is worth to be known ---------------------------------------------------------------


def suspected_labels(facts: Facts) -> Iterator[Advice]:
    """Masks that may be wrong."""
    rows = facts.run.label_errors
    if rows:
        images = list(dict.fromkeys(row.get("image", "") for row in rows))
        yield Advice(
            "Check the suspected label errors",
            f"{plural(len(rows), 'place')} in {plural(len(images), 'image')} may be labelled "
            f"wrongly; begin with {listing(images, 3)}.",
        )


def errors_at_outlines(facts: Facts) -> Iterator[Advice]:
    """Errors where masks themselves are not sure."""
    near = facts.mistakes.near_outlines if facts.mistakes else math.nan
    if near >= _NEAR:
        yield Advice(
            "Do not expect much more",
            f"{100 * near:.0f} % of the wrong pixels lie within 2 pixels of an outline, where two "
            "people would not agree either. Judge by what the masks are for.",
        )


def invented_objects(facts: Facts) -> Iterator[Advice]:
    """Predicted objects that touch no true one."""
    objects = facts.evaluation.objects
    if objects is not None and objects.invented_share > _INVENTED:
        yield Advice(
            "Remove invented objects",
            f"{objects.invented} of {objects.predicted} predicted objects touch no true one. If "
            "you count objects, leave out those that are smaller than any true one.",
        )


def unsure_probabilities(facts: Facts) -> Iterator[Advice]:
    """Probabilities that do not mean what they say."""
    known = facts.evaluation.probabilities
    if known is not None and known.calibration_error > _UNSURE:
        yield Advice(
            "Do not take probabilities at their word",
            f"On average a pixel's confidence is {known.calibration_error:.2f} away from how often "
            "it is right. The classes are not affected.",
        )


ADVICES: Sequence[Adviser] = (
    leaks,
    diagnosed,
    hardly_trained,
    one_class_everywhere,
    other_threshold,
    lost_detail,
    longer_training,
    never_found,
    weakest_class,
    taken_for_another,
    worst_images,
    small_objects,
    suspected_labels,
    no_test_part,
    few_images,
    errors_at_outlines,
    invented_objects,
    unsure_probabilities,
)
