"""Every diagnosis of a training: a function from what was seen of the fit to what that shows.

A new one is a function here and its name in `DIAGNOSES`. None is made before the numbers are clear:
a healthy training, also a short one on few images, must get none.
"""

import math
from collections.abc import Callable
from statistics import median

from fastunet._util.text import listing
from fastunet.callback.diagnosis import Diagnosis
from fastunet.callback.fit_record import FitRecord, predicted_most

_EXPLODED = 100  # times the first gradient norm; healthy fits stay below 10
_WORSE = 10  # times the first loss
_TOO_HIGH, _TOO_LOW = 10, 30  # times above and below what lr_find suggests
_EPOCHS = 3  # in which a score that does not move, or predictions of one class, mean something
_BATCHES = 200  # before which a training may still be at its beginning
_LEARNING = 0.95  # times the validation loss: with less, predictions may yet come apart
_HIGH = 0.01  # a learning rate with which predictions of one class may be due to it
_MOSTLY = 0.97  # share of a class that leaves hardly any pixels to the others
_STILL = 1e-4  # a score that moves less does not move
_PERFECT = 0.99  # a score that has no room to move
_RISEN = 1.2  # times the lowest validation loss
_FALLEN = 0.9  # times the training loss there
_BETTER = 0.01  # of the score
_FOR_OVERFITTING = 8  # epochs, before which losses are too noisy to tell


def no_foreground(fit: FitRecord) -> Diagnosis | None:
    """The training masks hold nothing but the first class and void."""
    whole = 0 < fit.training_images <= fit.images
    if fit.has_foreground or not fit.images or not fit.classes or not (whole or fit.ended):
        return None
    background, *others = fit.classes
    return Diagnosis(
        "no-foreground",
        f"the {fit.images} training masks that were shown hold nothing but {background} and void: "
        f"no pixel of {listing(others, 3)}, so that there is nothing to learn.",
        "Look at them: fastunet audit DATA says what the masks hold; name their values with "
        "classes= if they are misread.",
        {"masks": fit.images, "foreground_pixels": 0},
    )


def exploding_gradients(fit: FitRecord) -> Diagnosis | None:
    """Gradients have grown beyond measure, and the loss with them."""
    if not fit.gradients:
        return None
    first, worst = fit.gradients[0], max(fit.gradients, key=lambda look: look.norm)
    if worst.norm <= _EXPLODED * first.norm or worst.loss <= _WORSE * abs(first.loss):
        return None
    return Diagnosis(
        "exploding-gradients",
        f"the norm of the gradients grew from {first.norm:.3g} in the first batch to "
        f"{worst.norm:.3g} in batch {worst.batch + 1}, and the loss from {first.loss:.3g} to "
        f"{worst.loss:.3g}, at a peak learning rate of {fit.rate:.3g}.",
        f"Take a lower learning rate, such as lr={fit.rate / 10:.1g}; lr_find suggests one. "
        "Or limit the gradients: clip=1.0.",
        {
            "batch": worst.batch,
            "norm": worst.norm,
            "first_norm": first.norm,
            "loss": worst.loss,
            "first_loss": first.loss,
            "rate": fit.rate,
        },
    )


def one_class_predicted(fit: FitRecord) -> Diagnosis | None:
    """Predictions have collapsed to one class, and nothing else says why."""
    if fit.confusion is None or not _is_clear(fit, fit.one_class):
        return None
    loss = fit.values("valid_loss")[-fit.one_class :]
    if loss and loss[-1] < _LEARNING * loss[0]:
        return None  # a slow beginning: it is still learning
    if no_foreground(fit) or exploding_gradients(fit):
        return None
    top, pixels = predicted_most(fit.confusion), fit.confusion.sum()
    predicted = float(fit.confusion[:, top].sum() / pixels)
    true = float(fit.confusion[top].sum() / pixels)
    advice = "Train for more epochs, or at another learning rate: lr_find suggests one."
    if fit.rate > _HIGH:
        advice = f"Take a lower learning rate than {fit.rate:.3g}: lr_find suggests one."
    elif true > _MOSTLY:
        advice = (
            "Give rare classes more weight: "
            'loss_func=CombinedLoss(ce=0, tversky=1) or class_weights="inverse".'
        )
    return Diagnosis(
        "one-class-predicted",
        f"in the last {fit.one_class} epochs {100 * predicted:.4g} % of the validation pixels were "
        f"predicted as {fit.classes[top]}; {100 * true:.3g} % are.",
        advice,
        {
            "epochs": fit.one_class,
            "class": fit.classes[top],
            "predicted_share": predicted,
            "true_share": true,
        },
    )


def rate_far_from_suggested(fit: FitRecord) -> Diagnosis | None:
    """The learning rate is far from what lr_find suggested for these weights."""
    suggested = fit.suggested_rate
    if not suggested or 1 / _TOO_LOW <= fit.rate / suggested <= _TOO_HIGH:
        return None
    way = "above" if fit.rate > suggested else "below"
    factor = max(fit.rate / suggested, suggested / fit.rate)
    return Diagnosis(
        "rate-far-from-suggested",
        f"the peak learning rate of {fit.rate:.3g} is {factor:.3g} times {way} the "
        f"{suggested:.3g} that lr_find suggested.",
        f"Take lr={suggested:.2g}.",
        {"rate": fit.rate, "suggested": suggested},
    )


def overfitting(fit: FitRecord) -> Diagnosis | None:
    """The validation loss rises while that of training falls.

    It must have risen clearly above its lowest, for a fifth of the epochs, and above the training
    loss too, and the score must not become better any more. Each loss is the median of three
    epochs.
    """
    train, valid = fit.values("train_loss"), fit.values("valid_loss")
    score = fit.values(fit.monitor)
    count = len(valid)
    is_late = fit.ended or count >= 3 * fit.epochs / 4
    if count < _FOR_OVERFITTING or not is_late or not len(train) == len(score) == count:
        return None
    train, valid, score = (_smooth(values) for values in (train, valid, score))
    best = min(range(len(valid)), key=valid.__getitem__)
    late = max(3, count // 5)
    risen = valid[-1] > _RISEN * valid[best] and valid[-1] > train[-1]
    if len(valid) - 1 - best < late or not risen or train[-1] > _FALLEN * train[best]:
        return None
    if "loss" not in fit.monitor and max(score[-late:]) > max(score[:-late]) + _BETTER:
        return None  # what counts still becomes better
    return Diagnosis(
        "overfitting",
        f"since about epoch {best + 1} the validation loss rose from {valid[best]:.3g} to "
        f"{valid[-1]:.3g}, while that of training fell from {train[best]:.3g} to {train[-1]:.3g}.",
        'Show more views of the images (augment="free" where they have no up and down), or train '
        f"for about {best + 2} epochs.",
        {
            "epoch": best + 1,
            "valid_loss_then": valid[best],
            "valid_loss_now": valid[-1],
            "train_loss_then": train[best],
            "train_loss_now": train[-1],
        },
    )


def scores_never_move(fit: FitRecord) -> Diagnosis | None:
    """Every score is the same in all epochs, and nothing else says why."""
    count = len(fit.scores)
    if not _is_clear(fit, count):
        return None
    if any(find(fit) for find in (no_foreground, exploding_gradients, one_class_predicted)):
        return None
    seen = {name: fit.values(name) for name in fit.metrics}
    seen = {name: values for name, values in seen.items() if all(map(math.isfinite, values))}
    if not seen or any(max(values) - min(values) > _STILL for values in seen.values()):
        return None
    if all(min(values) > _PERFECT for values in seen.values()):
        return None
    norm = median(look.norm for look in fit.gradients) if fit.gradients else 0.0
    advice = f"Take a higher learning rate than {fit.rate:.3g}: lr_find suggests one."
    if norm == 0:
        advice = (
            "No gradient reaches the weights: learn.unfreeze(), and look at what the loss is made "
            "of."
        )
    told = ", ".join(f"{name} {values[-1]:.4f}" for name, values in seen.items())
    return Diagnosis(
        "scores-never-move",
        f"in all {count} epochs the scores were the same: {told}.",
        advice,
        {"epochs": count, "rate": fit.rate, "gradient_norm": norm}
        | {name: values[-1] for name, values in seen.items()},
    )


def _is_clear(
    fit: FitRecord,
    epochs: int,  # in a row, up to the last, in which something was so
) -> bool:
    """Whether it is no slow beginning: it was so to the end, or for long."""
    for_long = epochs >= fit.epochs / 2 and fit.batches >= _BATCHES
    return epochs >= _EPOCHS and (fit.ended or for_long)


def _smooth(values: list[float]) -> list[float]:
    """Medians of three neighbours; two fewer."""
    return [median(values[i : i + 3]) for i in range(len(values) - 2)]


DIAGNOSES: tuple[Callable[[FitRecord], Diagnosis | None], ...] = (
    no_foreground,
    rate_far_from_suggested,
    exploding_gradients,
    one_class_predicted,
    overfitting,
    scores_never_move,
)
