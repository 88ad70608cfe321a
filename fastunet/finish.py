"""What follows on a training: threshold, scores, pictures, the model, and how long that takes."""

import hashlib
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from fastunet._util.files import write_atomically
from fastunet._util.terminal import say
from fastunet._util.text import listing
from fastunet.better_than import judge
from fastunet.callback.tracker import Tracker
from fastunet.data.cache import MemoryCache, room_in_memory
from fastunet.evaluation.evaluate import best_threshold, evaluate
from fastunet.evaluation.result import Evaluation
from fastunet.evaluation.spreadsheet import as_csv
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle
from fastunet.io.sources import Source
from fastunet.learner import SegmentationLearner
from fastunet.pairs.pair import Pair
from fastunet.plan import Plan
from fastunet.report.page import write_report
from fastunet.runs.contents import CHALLENGER, DIAGNOSES_JSON, FOLDS_CSV, PLAN
from fastunet.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from typing_extensions import Self

CROSS_VALIDATED = "cross-validated"  # the name of the part that all folds are together
_REST = 3.0  # seconds for pictures, tables, intervals, files and the end of Python, as measured
_REPORT, _TO_REPORT = (1.5, 15.0), 0.03  # seconds for the page: least, most; share of the time
_TO_SEE = 0.02  # of the time, to measure what follows on the training; 3 seconds at most


class PredictOnce(Segmenter):
    """A segmenter that predicts an image once, as far as there is memory for its probabilities."""

    @classmethod
    def of(cls, learn: SegmentationLearner) -> "Self":
        """The learner's own, as its weights are now."""
        own = learn.segmenter()
        made = cls(own.model, own.codec, own.preprocess, threshold=own.threshold)
        made._kept = MemoryCache(room_in_memory())
        return made

    _kept: MemoryCache[tuple[np.ndarray]]

    @staticmethod
    def key(image: np.ndarray) -> tuple:
        """What tells an image from others."""
        return image.shape, image.dtype.str, hashlib.blake2b(image.tobytes()).digest()

    def predicted(self, image: np.ndarray) -> np.ndarray:
        """Its probabilities, when it is seen for the first time."""
        return super().probabilities(image)

    def probabilities(self, image: Source | None = None, **channels) -> np.ndarray:
        """As `Segmenter.probabilities`."""
        if not isinstance(image, np.ndarray):
            return super().probabilities(image, **channels)
        key = self.key(image)
        kept = self._kept.get(key)
        if kept is None:
            kept = (self.predicted(image),)
            self._kept.put(key, kept)
        return kept[0]


@dataclass(frozen=True)
class HeldOut:
    """The images that no model was trained on that scores them."""

    pairs: Sequence[Pair]
    once: PredictOnce | None = None  # what predicts them; None: the learner's own model
    folds: Sequence[int] = ()  # the number of each pair's fold, if they were dealt into some

    @property
    def name(self) -> str:
        """Of the part, in reports."""
        return CROSS_VALIDATED if self.folds else "valid"


def score(learn: SegmentationLearner, held_out: HeldOut) -> dict[str, Evaluation]:
    """Choose the threshold on what is held out, and evaluate it and the test part."""
    once = held_out.once or PredictOnce.of(learn)
    pairs = [replace(pair, split="") for pair in held_out.pairs]
    if learn.dls.task == "binary":
        learn.threshold = once.threshold = best_threshold(once, pairs, "all")
    scores = {"valid": evaluate(once, pairs, held_out.name)}
    if test := learn.dls.pairs["test"]:
        scores["test"] = evaluate(once, test, "test")
    return scores


def finish(
    plan: Plan,
    learn: SegmentationLearner,
    held_out: HeldOut,
    folder: RunFolder,
    training: dict,  # what was done, for the bundle
    facts: dict,  # what there is to say of the fit
    tracker: Tracker,
) -> Evaluation:
    """Evaluate, write what a run leaves, put it in its place and tell of it."""
    plan.save(folder.work / PLAN)
    dls = learn.dls
    once = held_out.once or PredictOnce.of(learn)
    scores = score(learn, replace(held_out, once=once))
    tracker.finish(_numbers(scores))
    final = scores.get("test", scores["valid"])
    if held_out.folds:  # the learner has seen all images: the page shows them as they were scored
        save_folds(held_out.folds, scores["valid"], folder.work / FOLDS_CSV)
    else:
        learn.show_results(max_n=4)
        save_figure(folder.work / "results.png")
    others = {part: one.to_dict() for part, one in scores.items() if one is not final}
    made, verdict = folder.work, None
    if plan.fit.better_than is not None:
        verdict = judge(plan.fit.better_than, final, dls.pairs[final.split])
        if not verdict.is_new_better:
            made = folder.work / CHALLENGER
            Bundle.load(plan.fit.better_than).save(folder.work)
    learn.save_bundle(made, {**final.to_dict(), **others}, training | facts)
    shown: Segmenter = once
    if verdict is not None and not verdict.is_new_better:
        final, shown = verdict.of_old, Segmenter.load(verdict.old)
    final.save(folder.work / "evaluation")
    parts = {**dls.pairs, held_out.name: held_out.pairs}
    write_report(folder.work, shown, parts, {final.split: final}, seconds=seconds_to_report(plan))
    left_over = folder.finish()

    kept = f"the best epoch by {facts['best_by']} on the validation part"
    if held_out.folds:
        kept = "the model of all images"
    elif facts["best_epoch"] is None:
        kept = f"no epoch was the best by {facts['best_by']}: the last one"
    say(f"Trained for {facts['seconds']:.0f} s; {kept} was kept.\n")
    say(final)
    if verdict is not None:
        say(verdict)
        if not verdict.is_new_better:
            say(f"The scores are those of {verdict.old}, whose model {folder.path} holds.")
    elif final.split == "valid":
        chosen = "best epoch and the threshold were" if dls.task == "binary" else "best epoch was"
        say(f"  (the {chosen} chosen on these images; a test/ part would be independent)")
    elif final.split == CROSS_VALIDATED:
        say(
            f"  (each by a model that had not seen it, of {plan.split.folds} that were trained on "
            "fewer images and for a shorter time than the one that is kept)"
        )
    if found := learn.guard.diagnoses:
        say(
            f"Diagnosed: {listing([one.name for one in found])}. What to try is in "
            f"{folder.path / DIAGNOSES_JSON}; fastunet autopsy {folder.path} looks further."
        )
    if left_over:
        say(f"Files that are not the replaced run's were kept: {listing(left_over, 5)}.")
    return final


def _numbers(scores: Mapping[str, Evaluation]) -> dict[str, float]:
    """The scores of each part and the ends of their intervals, by one name each."""
    found = {}
    for part, one in scores.items():
        for name, value in one.overall.items():
            found[f"{part}/{name}"] = value
            ends = one.intervals[name] or ()
            found |= {
                f"{part}/{name}_{end}": v for end, v in zip(("low", "high"), ends, strict=False)
            }
    return found


def training_ends(
    learn: SegmentationLearner,
    held_out: HeldOut,
    plan: Plan,
    started: float,  # by `time.perf_counter`
) -> float:
    """When the training must end for all to be done in time, by `time.perf_counter`."""
    seconds = 60 * (plan.fit.minutes or 0)
    judges = plan.fit.better_than is not None
    after = seconds_after(learn, held_out, min(3.0, _TO_SEE * seconds), judges)
    return started + seconds - after - seconds_to_report(plan)


def seconds_to_report(plan: Plan) -> float:
    """That the page of the run may take."""
    least, most = _REPORT
    return min(most, max(least, _TO_REPORT * 60 * plan.fit.minutes)) if plan.fit.minutes else most


def seconds_after(
    learn: SegmentationLearner,
    held_out: HeldOut,
    allowance: float,  # seconds that finding out may take
    judges: bool = False,  # another model is evaluated, too
) -> float:
    """What follows on the training, in seconds, by some images: scores, pictures, files."""
    test = learn.dls.pairs["test"]
    images = [*held_out.pairs, *test]
    again = [*test] if test else [*held_out.pairs] * 2  # valid: with two thresholds
    again = again if judges else []
    learn.segmenter().probabilities(images[0].image_files)  # the first time takes longer

    def seconds_each(count: int) -> float:
        some = list(dict.fromkeys(images[i * len(images) // count] for i in range(count)))
        start, once = time.perf_counter(), PredictOnce.of(learn)
        if learn.dls.task == "binary":
            best_threshold(once, some, "all", progress=False)
        evaluate(once, some, "all", n_boot=0, progress=False)
        return (time.perf_counter() - start) / len(some)

    each = seconds_each(min(2, len(images)))
    more = min(len(images), int(allowance / each))
    if more > 2:
        each = seconds_each(more)
    return each * (len(images) + len(again)) + _REST


def save_folds(folds: Sequence[int], scores: Evaluation, path: Path) -> None:
    """A table of the images: the fold of each, and its Dice by a model that had not seen it."""
    rows = {"image": scores.names, "fold": folds, "dice": scores.per_image["dice"]}
    write_atomically(path, as_csv(pd.DataFrame(rows)))


def bytes_needed(
    model: torch.nn.Module,
    folds: int = 0,  # of a cross-validation
) -> int:
    """Nineteen times the weights, once more for each fold, and pictures.

    The best epoch, its successor and the bundle; in each of four checkpoints the weights, those of
    the best epoch, and the optimizer's two means. Of a fold that is done its best epoch stays.
    """
    return (19 + folds) * 4 * sum(p.numel() for p in model.parameters()) + 32_000_000


def save_figure(path: Path) -> None:
    """Write the current figure, whole or not at all, and close it."""
    picture = io.BytesIO()
    plt.savefig(picture, dpi=80, format="png")
    plt.close()
    write_atomically(path, picture.getvalue())
