"""All that the page shows, measured and read within the time there is."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from fastunet._util.text import plural
from fastunet.checks.audit import audit
from fastunet.checks.report import Audit
from fastunet.checks.resolution import Resolution, measure_resolution
from fastunet.data.reader import read_pair
from fastunet.errors import FastunetError
from fastunet.evaluation.result import Evaluation
from fastunet.inference import Segmenter
from fastunet.pairs.groups import relative_names
from fastunet.pairs.pair import Pair
from fastunet.report.examples import Example, around, chosen, draw
from fastunet.report.mistakes import Mistakes
from fastunet.report.run_record import RunRecord

_IMAGES = 100  # in which mistakes are counted, at most
_SUSPECTS, _OF_SUSPECT = 4, 100_000  # places that are drawn; bytes of each
_ON_IMAGES, _ON_SUSPECTS = 0.6, 0.7  # shares of the time, when each must be done
_ON_AUDIT, _ON_DETAIL = 0.9, 0.95
_AUDIT = 30.0  # seconds that the audit should take at most
_READ = 0.05  # seconds that reading a pair takes, where it was not measured
_AUDITED = 5  # times as long as reading a pair takes its audit; 2.5 to 4.2 were measured
_REST = 0.5  # seconds to write the page
_HEADER = 0.002  # seconds for the headers of a pair
_GOLDEN = 0.618034  # multiples of it, without their whole part, are spread evenly

Parts = Mapping[str, Sequence[Pair]]


class Clock:
    """The time that may be used."""

    def __init__(
        self,
        seconds: float | None,  # None: as long as it takes
    ):
        self._start = time.perf_counter()
        self._seconds = None if seconds is None else max(seconds - _REST, 0)

    def left(
        self,
        until: float = 1.0,  # this share of the time
    ) -> float:
        """Seconds."""
        if self._seconds is None:
            return math.inf
        return until * self._seconds - (time.perf_counter() - self._start)


@dataclass
class Gathered:
    """What the page is made of. What could not be had is None or empty, and `notes` say why."""

    run: RunRecord
    segmenter: Segmenter
    parts: Parts
    scores: Mapping[str, Evaluation]  # by part
    evaluation: Evaluation  # the one that counts: of the test part, or else the validation part
    examples: list[Example] = field(default_factory=list)
    suspects: list[Example] = field(default_factory=list)  # places that may be labelled wrongly
    mistakes: Mistakes | None = None
    detail: Resolution | None = None
    audit: Audit | None = None
    notes: dict[str, str] = field(default_factory=dict)  # by what they are about


def gather(
    run: Path,
    segmenter: Segmenter,
    parts: Parts,
    scores: Mapping[str, Evaluation],
    seconds: float | None,
) -> Gathered:
    """Look at images, masks and files, the most telling first, while there is time."""
    clock = Clock(seconds)
    evaluation = scores["test"] if "test" in scores else next(iter(scores.values()))
    found = Gathered(RunRecord.of(run), segmenter, parts, scores, evaluation)
    each = _look_at_images(found, clock)
    _look_at_suspects(found, clock)
    _audit(found, clock, each)
    _measure_detail(found, clock)
    return found


def _look_at_images(found: Gathered, clock: Clock) -> float:
    """Draw examples and count mistakes. Returns the seconds that reading a pair took."""
    one, segmenter = found.evaluation, found.segmenter
    by_name = _by_name(found.parts.get(one.split, ()))
    if not by_name.keys() >= {*one.names}:
        found.notes["pictures"] = (
            f"The images of the {one.split} part are not those that were scored, so that none are "
            "shown."
        )
        return _READ
    pairs = [by_name[name] for name in one.names]
    shown = {index: rank for rank, index in chosen(one.per_image["dice"])}
    spread = sorted(range(len(pairs)), key=lambda i: i * _GOLDEN % 1)
    order = list(dict.fromkeys([*shown, *spread]))[: max(len(shown), _IMAGES)]
    mistakes = Mistakes(len(segmenter.classes))
    reading: list[float] = []  # seconds of each image
    took = [0.0]  # seconds, with all that is made of it
    for number, index in enumerate(order):
        if number and clock.left(_ON_IMAGES) < 1.5 * max(took[-2:]):
            break
        start = time.perf_counter()
        try:
            image, truth = read_pair(
                pairs[index], segmenter.codec, segmenter.preprocess.orientation
            )
            reading.append(time.perf_counter() - start)
            prediction = segmenter.classify(segmenter.probabilities(image))
        except FastunetError as error:
            found.notes["pictures"] = f"Not all images could be looked at: {error}"
            break
        mistakes.add(truth, prediction)
        if index in shown:
            said = f"Dice {one.per_image['dice'][index]:.3f}"
            example = draw(
                shown[index], one.names[index], said, image, truth, prediction, segmenter.codec
            )
            found.examples.append(example)
        took.append(time.perf_counter() - start)
    if len(found.examples) < len(shown) and "pictures" not in found.notes:
        found.notes["pictures"] = (
            f"{plural(len(found.examples), 'image is', 'images are')} shown instead of "
            f"{len(shown)}, since time was short. fastunet report makes the page again."
        )
    found.mistakes = mistakes if mistakes.images else None
    return float(np.mean(reading)) if reading else _READ


def _look_at_suspects(found: Gathered, clock: Clock) -> None:
    """Draw the places that were named as suspected label errors, the first ones."""
    segmenter, took = found.segmenter, 0.0
    pairs = [pair for part in found.parts.values() for pair in part]
    for row in found.run.label_errors[:_SUSPECTS]:
        meant = [pair for pair in pairs if _is_named(pair, row.get("image", ""))]
        if len(meant) != 1 or clock.left(_ON_SUSPECTS) < 1.5 * took:
            break
        start = time.perf_counter()
        try:
            image, truth = read_pair(meant[0], segmenter.codec, segmenter.preprocess.orientation)
            place = around(int(float(row["row"])), int(float(row["column"])), truth.shape)
            prediction = segmenter.classify(segmenter.probabilities(image))
        except (FastunetError, KeyError, ValueError):
            break  # the table says all there is
        said = f"{row.get('kind', '')}, score {row.get('score', '')}"
        cut = (image[place], truth[place], prediction[place])
        example = draw("suspected", row["image"], said, *cut, segmenter.codec, _OF_SUSPECT)
        found.suspects.append(example)
        took = time.perf_counter() - start


def _is_named(pair: Pair, name: str) -> bool:
    """Whether a path below some folder is that of the image."""
    parts = PurePosixPath(name).parts
    return bool(parts) and pair.image.parts[-len(parts) :] == parts


def _by_name(pairs: Sequence[Pair]) -> dict[str, Pair]:
    """The pairs by the names that images have in an evaluation, `a.png` or `a.png (mask.png)`."""
    names = relative_names(pair.image for pair in pairs)
    with_mask = {f"{names[pair.image]} ({pair.mask.name})": pair for pair in pairs}
    return {names[pair.image]: pair for pair in pairs} | with_mask


def _measure_detail(found: Gathered, clock: Clock) -> None:
    """What the network's size leaves of the masks, where the audit has not said it."""
    found.detail = found.audit.resolution if found.audit else None
    if found.detail is not None:
        return
    pairs = found.parts.get("train") or found.parts.get(found.evaluation.split, ())
    some = pairs if clock.left() == math.inf else pairs[:: max(1, len(pairs) // 20)]
    if not some or clock.left(_ON_DETAIL) <= 0:
        return
    segmenter = found.segmenter
    try:
        found.detail = measure_resolution(
            list(dict.fromkeys(pair.mask for pair in some)),
            segmenter.codec.read,
            segmenter.classes,
            segmenter.preprocess,
            progress=False,
        )
    except FastunetError as error:
        found.notes["detail"] = str(error)


def _audit(
    found: Gathered,
    clock: Clock,
    each: float,  # seconds that reading a pair takes
) -> None:
    """The whole audit where there is time, else that of names and headers."""
    pairs = [pair for part in found.parts.values() for pair in part]
    time_for = min(_AUDIT, clock.left(_ON_AUDIT))
    quick = _AUDITED * each * len(pairs) > time_for
    if not pairs or (quick and _HEADER * len(pairs) > time_for):
        found.notes["audit"] = "The files were not audited, since time was short."
        return
    if quick:
        found.notes["audit"] = (
            "Only names and headers of the files were looked at, since reading all of them takes "
            "long. fastunet audit DATA looks at every pixel."
        )
    options = found.run.plan.options if found.run.plan else {}
    asked = ("classes", "void", "instances", "scaling", "orientation", "size", "patch", "scale")
    try:
        found.audit = audit(
            pairs,
            **{name: options[name] for name in asked if name in options},
            quick=quick,
            progress=False,
        )
    except FastunetError as error:
        found.notes["audit"] = f"The files could not be audited: {error}"
