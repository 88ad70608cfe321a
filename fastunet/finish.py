"""What follows on a training: threshold, scores, pictures, the model, and how long that takes."""

import hashlib
import io
import time
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from fastunet._util.files import write_atomically
from fastunet._util.terminal import say
from fastunet._util.text import listing
from fastunet.better_than import judge
from fastunet.callback.tracker import Tracker
from fastunet.data.cache import MemoryCache, room_in_memory
from fastunet.evaluation.evaluate import best_threshold, evaluate
from fastunet.evaluation.result import Evaluation
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle
from fastunet.io.sources import Source
from fastunet.learner import SegmentationLearner
from fastunet.plan import Plan
from fastunet.runs.contents import CHALLENGER, DIAGNOSES_JSON, PLAN
from fastunet.runs.run_folder import RunFolder

_REST = 3.0  # seconds for pictures, tables, intervals, files and the end of Python, as measured
_TO_SEE = 0.02  # of the time, to measure what follows on the training; 3 seconds at most


def finish(
    plan: Plan,
    learn: SegmentationLearner,
    folder: RunFolder,
    training: dict,  # what was done, for the bundle
    facts: dict,  # what there is to say of the fit
    tracker: Tracker,
) -> Evaluation:
    """Evaluate, write what a run leaves, put it in its place and tell of it."""
    plan.save(folder.work / PLAN)
    dls, scores = learn.dls, score(learn)
    tracker.finish(_numbers(scores))
    final = scores.get("test", scores["valid"])
    learn.show_results(max_n=4)
    save_figure(folder.work / "results.png")
    others = {part: one.to_dict() for part, one in scores.items() if one is not final}
    made, verdict = folder.work, None
    if plan.fit.better_than is not None:
        verdict = judge(plan.fit.better_than, final, dls.pairs)
        if not verdict.is_new_better:
            made = folder.work / CHALLENGER
            Bundle.load(plan.fit.better_than).save(folder.work)
    learn.save_bundle(made, {**final.to_dict(), **others}, training | facts)
    if verdict is not None and not verdict.is_new_better:
        final = verdict.of_old
    final.save(folder.work / "evaluation")
    left_over = folder.finish()

    kept = f"the best epoch by {facts['best_by']} on the validation part"
    if facts["best_epoch"] is None:
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
    if found := learn.guard.diagnoses:
        say(
            f"Diagnosed: {listing([one.name for one in found])}. What to try is in "
            f"{folder.path / DIAGNOSES_JSON}; fastunet autopsy {folder.path} looks further."
        )
    if left_over:
        say(f"Files that are not the replaced run's were kept: {listing(left_over, 5)}.")
    return final


class PredictOnce(Segmenter):
    """A segmenter that predicts an image once, as far as there is memory for its probabilities."""

    @classmethod
    def of(cls, learn: SegmentationLearner) -> "PredictOnce":
        """The learner's own, as its weights are now."""
        own = learn.segmenter()
        made = cls(own.model, own.codec, own.preprocess, threshold=own.threshold)
        made._kept = MemoryCache(room_in_memory())
        return made

    _kept: MemoryCache[tuple[np.ndarray]]

    def probabilities(self, image: Source | None = None, **channels) -> np.ndarray:
        """As `Segmenter.probabilities`."""
        if not isinstance(image, np.ndarray):
            return super().probabilities(image, **channels)
        key = (image.shape, image.dtype.str, hashlib.blake2b(image.tobytes()).digest())
        kept = self._kept.get(key)
        if kept is None:
            kept = (super().probabilities(image),)
            self._kept.put(key, kept)
        return kept[0]


def score(learn: SegmentationLearner) -> dict[str, Evaluation]:
    """Choose the threshold on the validation part, and evaluate it and the test part."""
    parts = learn.dls.pairs
    once = PredictOnce.of(learn)
    if learn.dls.task == "binary":
        learn.threshold = once.threshold = best_threshold(once, parts["valid"])
    scores = {"valid": evaluate(once, parts["valid"], "valid")}
    if parts["test"]:
        scores["test"] = evaluate(learn.segmenter(), parts["test"], "test")
    return scores


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
    started: float,  # by `time.perf_counter`
    seconds: float,  # that all of it may take
    judges: bool = False,  # another model is evaluated, too
) -> float:
    """When the training must end for all to be done in time, by `time.perf_counter`."""
    return started + seconds - seconds_after(learn, min(3.0, _TO_SEE * seconds), judges)


def seconds_after(
    learn: SegmentationLearner,
    allowance: float,  # seconds that finding out may take
    judges: bool = False,  # another model is evaluated, too
) -> float:
    """What follows on the training, in seconds, by some images: scores, pictures, files."""
    parts = learn.dls.pairs
    images = [*parts["valid"], *parts["test"]]
    again = (parts["test"] or parts["valid"]) if judges else []
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


def bytes_needed(model: torch.nn.Module) -> int:
    """Nineteen times the weights, and pictures.

    The best epoch, its successor and the bundle; in each of four checkpoints the weights, those of
    the best epoch, and the optimizer's two means.
    """
    return 19 * 4 * sum(p.numel() for p in model.parameters()) + 32_000_000


def save_figure(path: Path) -> None:
    """Write the current figure, whole or not at all, and close it."""
    picture = io.BytesIO()
    plt.savefig(picture, dpi=80, format="png")
    plt.close()
    write_atomically(path, picture.getvalue())
