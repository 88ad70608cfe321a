"""All that is known of a finished training, gathered from a learner or from a run folder."""

import csv
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fastunet._util.threads import in_threads
from fastunet.callback.diagnosis import Diagnosis, load_diagnoses
from fastunet.callback.fit_record import named
from fastunet.callback.guard import Guard
from fastunet.callback.lookup import find_callback
from fastunet.checks.resolution import Resolution, measure_resolution
from fastunet.errors import EvaluationError, FastunetError
from fastunet.evaluation.evaluate import evaluate
from fastunet.evaluation.result import Evaluation
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle
from fastunet.labels import VOID
from fastunet.losses import SegmentationLoss
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.pairs.pair import Pair
from fastunet.pairs.split import load_split
from fastunet.plan import Plan
from fastunet.preprocess import Preprocess
from fastunet.runs.contents import BEST, BUNDLE_JSON, DIAGNOSES_JSON, PLAN, SPLIT

_MASKS = 60  # of the training part that are read
_IMAGES = 30  # of the validation part that are predicted

Parts = Mapping[str, Sequence[Pair]]


@dataclass(frozen=True)
class MaskCounts:
    """What training masks hold, by the codec that reads them."""

    pixels: np.ndarray  # (N, C) of each class, by mask
    void: np.ndarray  # (N,) pixels that do not count

    @property
    def empty(self) -> np.ndarray:
        """(N,) whether a mask holds nothing but the first class and void."""
        return self.pixels[:, 1:].sum(1) == 0

    @property
    def shares(self) -> np.ndarray:
        """(C,) of the pixels that count."""
        total = self.pixels.sum(0)
        return total / max(1, total.sum())


@dataclass
class Case:
    """A finished training. What could not be found out is None, and `missing` says why."""

    name: str
    codec: MaskCodec
    preprocess: Preprocess
    threshold: float
    scores: list[dict[str, float]] = field(default_factory=list)  # by epoch
    monitor: str = "dice"  # the score that says which epoch is the best
    batches: int | None = None  # trained in all
    rate: float | None = None  # the peak learning rate
    loss: SegmentationLoss | None = None  # None: not known, or the default
    diagnoses: Sequence[Diagnosis] = ()  # made while it was trained
    masks: MaskCounts | None = None
    evaluation: Evaluation | None = None
    resolution: Resolution | None = None
    missing: dict[str, str] = field(default_factory=dict)  # what is not known -> why

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, by index."""
        return self.codec.classes

    @classmethod
    def of(
        cls,
        learn_or_run: Any,  # a `SegmentationLearner`, or the folder of a run or a bundle
        data: str | os.PathLike | None = None,  # of a run: the data folder, where it has moved
    ) -> "Case":
        """Gather what there is. Raises `BundleError` where a folder holds no model."""
        if isinstance(learn_or_run, str | os.PathLike):
            return _of_run(Path(learn_or_run), data)
        if not hasattr(learn_or_run, "segmenter"):
            raise EvaluationError(
                f"{type(learn_or_run).__name__} has no autopsy: a learner of segmentation_learner, "
                "or the folder of a run was expected."
            )
        return _of_learner(learn_or_run)

    def try_to(self, what: str, find: Callable[[], Any]) -> Any:
        """What is found; None where that fails, and the reason is noted."""
        try:
            return find()
        except FastunetError as error:
            self.missing[what] = str(error)
            return None


# --- a learner ------------------------------------------------------------------------------------


def _of_learner(learn: Any) -> Case:
    dls, segmenter = learn.dls, learn.segmenter()
    case = Case(
        "the learner",
        segmenter.codec,
        segmenter.preprocess,
        learn.threshold,
        monitor=learn.monitored,
        loss=learn.loss_func if isinstance(learn.loss_func, SegmentationLoss) else None,
    )
    guard = find_callback(learn, Guard)
    if guard is None or guard.record is None:
        case.missing["training length"] = "the learner has not been trained, or has no Guard."
    else:
        case.scores, case.diagnoses = guard.record.scores, tuple(guard.diagnoses)
        case.rate, case.batches = guard.record.rate, guard.record.batches
    parts = getattr(dls, "pairs", None)
    if parts is None:
        case.missing["data"] = "the DataLoaders do not say which files they are of."
        return case
    _look_at_files(case, parts)
    _score(case, parts, segmenter)
    return case


# --- a run ----------------------------------------------------------------------------------------


def _of_run(folder: Path, data: str | os.PathLike | None) -> Case:
    best = folder / BEST
    place = best if not (folder / BUNDLE_JSON).exists() and best.is_dir() else folder
    bundle = Bundle.load(place)
    facts = bundle.training
    case = Case(
        str(folder),
        bundle.codec,
        bundle.preprocess,
        bundle.threshold,
        monitor=facts.get("best_by", "dice"),
        rate=facts.get("lr_max"),
    )
    case.diagnoses = case.try_to("rate", lambda: load_diagnoses(folder / DIAGNOSES_JSON)) or ()
    case.scores = _history(folder / "history.csv")
    if not case.scores:
        case.missing["training length"] = f"{folder} holds no history.csv."
    elif "images" in facts and "bs" in facts:
        case.batches = len(case.scores) * (facts["images"]["train"] // facts["bs"])
    parts = case.try_to("data", lambda: _parts(folder, data))
    if parts is not None:
        _look_at_files(case, parts)
    if (folder / "evaluation").is_dir():
        case.evaluation = case.try_to("threshold", lambda: Evaluation.load(folder / "evaluation"))
    elif parts is not None:
        _score(case, parts, Segmenter.load(place))
    return case


def _history(path: Path) -> list[dict[str, float]]:
    """The losses and metrics of each epoch."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        header, *rows = [*csv.reader(file)] or [[]]
    kept = [dict(named(row, header)) for row in rows]
    return [{n: v for n, v in row.items() if n not in ("epoch", "time")} for row in kept]


def _parts(folder: Path, data: str | os.PathLike | None) -> Parts:
    if data is not None:
        pairs = find_pairs(data)
    elif (folder / PLAN).is_file():
        plan = Plan.load(folder / PLAN)
        pairs = find_pairs(*plan.files.words, missing_ok=plan.input.skip_bad)
    else:
        raise EvaluationError(f"{folder} does not say where its data are: pass data=.")
    if (folder / SPLIT).is_file():
        return load_split(pairs, folder / SPLIT)
    return {"train": pairs, "valid": pairs}


# --- both -----------------------------------------------------------------------------------------


def _look_at_files(case: Case, parts: Parts) -> None:
    """Read some training masks, and see what the network's size leaves of them."""
    pairs = list(dict.fromkeys(parts["train"]))
    some = pairs[:: math.ceil(len(pairs) / _MASKS)]
    masks = {pair.mask: None for pair in some}

    def measure() -> Resolution:
        paths = [path for path in masks if path.is_file()]
        return measure_resolution(
            paths, case.codec.read, case.classes, case.preprocess, progress=False
        )

    case.masks = case.try_to("data", lambda: _counted([*masks], case.codec))
    case.resolution = case.try_to("resolution", measure)


def _counted(paths: Sequence[Path], codec: MaskCodec) -> MaskCounts:
    read = in_threads(codec.read, paths, progress=False)
    counts = np.array([np.bincount(mask.ravel(), minlength=VOID + 1) for mask in read])
    return MaskCounts(counts[:, : len(codec.classes)], counts[:, VOID])


def _score(case: Case, parts: Parts, segmenter: Segmenter) -> None:
    """Predict some images of the validation part."""
    pairs = parts["valid"]
    if not pairs:
        case.missing["threshold"] = "there is no validation part."
        return
    some = pairs[:: math.ceil(len(pairs) / _IMAGES)]
    case.evaluation = case.try_to(
        "threshold",
        lambda: evaluate(segmenter, some, "valid", objects=False, n_boot=0, progress=False),
    )
