"""`autopsy`: "why is my mask black?", asked of a finished training."""

import html
import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastunet.causes.all_causes import CAUSES, predicted_shares
from fastunet.causes.case import Case
from fastunet.causes.cause import ASPECTS, Cause
from fastunet.io.library_messages import gathered_messages

_WIDTH = 96  # characters of a line


@dataclass(frozen=True)
class Autopsy:
    """What explains the masks of a training, the most likely cause first; `print` it."""

    name: str  # of what was looked at
    symptom: str  # what the masks are like, in numbers
    causes: tuple[Cause, ...]  # by falling likelihood
    in_order: tuple[str, ...]  # aspects that were looked at without a finding
    missing: Mapping[str, str] = field(default_factory=dict)  # what could not be looked at -> why

    def __str__(self) -> str:
        lines = [f"Autopsy of {self.name}", *_wrapped(self.symptom, "")]
        for number, cause in enumerate(self.causes, 1):
            said = f"{number}. {cause.aspect}: {cause.message}"
            lines += ["", *_wrapped(said, ""), *_wrapped(f"-> {cause.advice}", "   ")]
        if not self.causes:
            lines += ["", "Nothing was found that explains bad masks."]
        lines += ["", *self._notes()]
        return "\n".join(lines).rstrip()

    def _repr_html_(self) -> str:
        """A table, as notebooks show it."""
        rows = "".join(
            f"<tr><td>{_escaped(cause.aspect)}</td><td>{_escaped(cause.message)}</td>"
            f"<td>{_escaped(cause.advice)}</td></tr>"
            for cause in self.causes
        )
        notes = "".join(f"<br>{_escaped(line)}" for line in self._notes())
        return (
            f"<p><b>Autopsy of {_escaped(self.name)}</b><br>{_escaped(self.symptom)}</p>"
            "<table><thead><tr><th>Where</th><th>What was found, the most likely first</th>"
            f"<th>What to try</th></tr></thead><tbody>{rows}</tbody></table><p>{notes[4:]}</p>"
        )

    def to_dict(self) -> dict:
        """Plain values."""
        return {
            "name": self.name,
            "symptom": self.symptom,
            "causes": [cause.to_dict() for cause in self.causes],
            "in_order": list(self.in_order),
            "missing": dict(self.missing),
        }

    def _notes(self) -> list[str]:
        lines = [f"Nothing was found in: {', '.join(self.in_order)}."] if self.in_order else []
        return [*lines, *(f"Not looked at: {what}: {why}" for what, why in self.missing.items())]


@gathered_messages()
def autopsy(
    learn_or_run: Any,  # a `SegmentationLearner`, or the folder of a run or a bundle
    data: str | os.PathLike | None = None,  # of a run: the data folder, where it has moved
) -> Autopsy:
    """Ask why the masks of a finished training are bad, or black.

    Looked at are the data, the codec that reads the masks, the loss, the learning rate, the
    threshold, what the network's size leaves of the masks, and the length of the training. Some
    training masks are read and, unless a run has been evaluated, some validation images predicted.

    Raises `BundleError` where a folder holds no model, `EvaluationError` for what is neither. What
    cannot be found out, such as of data that have moved, is said and left out.

    >>> print(autopsy("runs/cells-1"))
    """
    case = Case.of(learn_or_run, data)
    found = [cause for find in CAUSES for cause in find(case)]
    found.sort(key=lambda cause: -cause.likelihood)
    not_seen = {*case.missing, *(cause.aspect for cause in found), "encoding"}
    return Autopsy(
        case.name,
        _symptom(case),
        tuple(found),
        tuple(aspect for aspect in ASPECTS if aspect not in not_seen),
        case.missing,
    )


def _symptom(case: Case) -> str:
    shares = predicted_shares(case)
    if shares is None or case.evaluation is None:
        return "Its masks were not looked at."
    predicted, true = (f"{100 * share:.3g} %" for share in shares)
    what = case.classes[1] if len(case.classes) == 2 else f"anything but {case.classes[0]}"
    images = case.evaluation.images
    return (
        f"Dice is {case.evaluation.dice:.3f} on {images} images ({case.evaluation.split}): "
        f"{predicted} of the pixels are predicted as {what}; {true} are."
    )


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _escaped(text: str) -> str:
    return html.escape(text)
