"""What was gathered as values for the page, section by section."""

import shlex
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from fastunet._util.text import listing, plural
from fastunet.overlay import error_legend
from fastunet.report import run_sections, score_sections
from fastunet.report.advice import Facts, advices
from fastunet.report.gathered import Gathered
from fastunet.report.wording import part_name, score


def values(found: Gathered) -> dict[str, Any]:
    """Every value of the template, by name."""
    made: dict[str, Any] = {}
    for section in _SECTIONS:
        made |= section(found)
    return made | {"contents": _contents(made)}


def _head(found: Gathered) -> dict[str, Any]:
    one, run = found.evaluation, found.run
    images = f"{plural(one.images, 'image')} of the {part_name(one.split)} part"
    of_what = f"mean Dice of {len(one.classes)} classes"
    if one.is_binary:
        of_what = f"Dice of {one.classes[1]}"
    rule = "the most probable class is taken"
    if one.threshold is not None:
        rule = f"foreground is what is more probable than {one.threshold:.3g}"
    sentence = f"The {of_what} is {score(one.dice)} on {images}"
    if ends := one.intervals["dice"]:
        confidence = f"{100 * one.bootstrap.confidence:g}\N{NO-BREAK SPACE}%"
        sentence += f", with a {confidence} interval from {ends[0]:.3f} to {ends[1]:.3f}"
    void = "void is left out; " if found.segmenter.codec.void else ""
    notes = [f"Measured at the images' own size; {void}{rule}."]
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
            "sentence": f"{sentence}.",
            "notes": notes,
        },
        "part": part_name(one.split),
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
        "training": ("Training", made["training_notes"]),
        "folds": ("Cross-validation", made["folds"]),
        "data": ("Data", True),
        "labels": ("Label errors", made["label_errors"]),
        "predicted": ("Predicted Dice", made["predicted"]),
        "plan": ("Plan", made["plan_rows"]),
        "use": ("Use it", True),
    }
    return [(section, name) for section, (name, there) in every.items() if there]


_SECTIONS = (
    _head,
    _pictures,
    _next,
    score_sections.score_card,
    score_sections.classes,
    score_sections.mistakes,
    score_sections.probabilities,
    run_sections.training,
    run_sections.data,
    run_sections.labels,
    run_sections.predicted,
    run_sections.plan,
    _usage,
)
