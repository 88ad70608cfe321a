"""What a model scores on images and masks: one pass at the images' own size, an image at a time."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tqdm import tqdm

from fastunet._util.terminal import hide_bars
from fastunet._util.text import listing
from fastunet._util.threads import in_threads
from fastunet._util.warn import warn
from fastunet.checks.bad_pairs import (
    refuse_bad_pairs,
    warn_of_skipped,
    without_bad_pairs,
    without_unknown_values,
)
from fastunet.data.reader import read_pair
from fastunet.errors import EvaluationError, SplitError
from fastunet.evaluation.bootstrap import Bootstrap
from fastunet.evaluation.result import Evaluation
from fastunet.evaluation.scorer import Scorer
from fastunet.inference import Segmenter
from fastunet.inference.side_by_side import SideBySide
from fastunet.io.library_messages import gathered_messages
from fastunet.labels import VOID
from fastunet.metrics.threshold import ThresholdCurve
from fastunet.pairs.find import find_pairs
from fastunet.pairs.groups import Groups, relative_names, with_groups
from fastunet.pairs.pair import Pair, PairList
from fastunet.pairs.split import PARTS, load_split
from fastunet.runs.contents import FOLDS_CSV, SPLIT, split_of


class HasSegmenter(Protocol):
    """A `SegmentationLearner`, or whatever else knows how it predicts."""

    def segmenter(self) -> Segmenter:
        """The prediction as a user gets it."""


class HasModel(Protocol):
    """A plain fastai `Learner` over data that say what their masks hold."""

    model: torch.nn.Module
    dls: object  # with `codec` and `preprocess`


class HasPairs(Protocol):
    """`ImageMaskDataLoaders`, or whatever else holds pairs by part."""

    pairs: Mapping[str, Sequence[Pair]]


Model = Segmenter | HasSegmenter | HasModel | str | os.PathLike
Data = Sequence[Pair] | HasPairs | str | os.PathLike


@gathered_messages()
def evaluate(
    model: Model,  # a `Segmenter`, a learner, or the folder of a bundle
    data: Data,  # pairs, DataLoaders, a data folder or a .csv table
    split: str | None = None,  # the part; None: test, or else valid, or else all
    *,
    calibration: bool = True,  # what the probabilities are worth; about 0.1 s per megapixel
    objects: bool = True,  # binary: count the objects of the foreground
    boundary: bool = False,  # HD95, surface Dice, boundary IoU; up to 0.5 s per megapixel and class
    groups: Groups | Mapping[Pair, str] | None = None,  # resampled as a whole; None: the pairs'
    n_boot: int = 1000,  # resamples for the intervals; 0: none
    seed: int = 0,  # of the resamples
    confidence: float = 0.95,  # of the intervals
    skip_bad: bool = False,  # leave out, with a warning, pairs that are damaged or do not fit
    progress: bool = True,  # a bar where there is a terminal
) -> Evaluation:
    """Predict every image as a user would and compare with its mask, both at their own size.

    Memory does not grow with the images but for a few numbers that are kept of each. `groups` as in
    `split_pairs`: "auto", an expression, a function, or the group of each pair. `split` is the name
    of pairs that are given without parts. The bundle's codec reads the masks.

    Raises `SplitError` where there is no such part, `EvaluationError` where there are no pairs, and
    what reading an image or a mask raises; what headers show, before the first is decoded.

    >>> print(evaluate("cells-unet", "cells"))
    """
    bootstrap = Bootstrap(n_boot, seed, confidence)
    segmenter = _segmenter(model)
    split, found = _part(data, split, model, missing_ok=skip_bad)
    if skip_bad:
        found = _usable(found, segmenter, progress)
    else:
        refuse_bad_pairs(found, progress)
    pairs = with_groups(found, groups.__getitem__ if isinstance(groups, Mapping) else groups)
    scorer = Scorer(segmenter.classes, objects=objects, boundary=boundary)
    predictions = _predictions(segmenter, pairs, f"Evaluating {split}", progress)
    held = np.zeros(VOID + 1, np.int64)  # pixels by class index
    for pair, name, (truth, scores) in zip(pairs, _names(pairs), predictions, strict=True):
        held += np.bincount(truth.ravel(), minlength=len(held))
        kept = scores if calibration else None
        predicted = segmenter.classify(scores)
        scorer.add(name, predicted, truth, probabilities=kept, group=pair.group)
    _warn_of_other_masks(held, segmenter, len(pairs))
    binary = segmenter.codec.task == "binary"
    return scorer.result(split, segmenter.threshold if binary else None, bootstrap)


@gathered_messages()
def best_threshold(
    model: Model,  # as in `evaluate`
    data: Data,
    split: str | None = "valid",  # not the part that is to be scored by it
    progress: bool = True,
) -> float:
    """The threshold of a binary model with the highest Dice, pixels of all images taken together.

    One of 0, 1/1024, ... 1023/1024; of equals the one nearest to 0.5. Put it into use by
    `segmenter.threshold = ...`, or for good with `Bundle(..., threshold=...)`.

    Raises `EvaluationError` for more than two classes, and what `evaluate` raises.
    """
    segmenter = _segmenter(model)
    if segmenter.codec.task != "binary":
        raise EvaluationError(
            f"There are {len(segmenter.classes)} classes: the most probable one is taken, and no "
            "threshold decides. Only a binary model has one."
        )
    _, pairs = _part(data, split, model)
    curve = ThresholdCurve()
    for truth, scores in _predictions(segmenter, pairs, "Choosing a threshold", progress):
        curve.update(torch.from_numpy(scores)[None], torch.from_numpy(truth)[None])
    return curve.best_threshold()


def _predictions(
    segmenter: Segmenter, pairs: Sequence[Pair], label: str, progress: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(H, W) truth and (C, H, W) probabilities of each pair; threads read and predict ahead."""
    orientation = segmenter.preprocess.orientation
    side_by_side = SideBySide(segmenter)

    def work(pair: Pair) -> tuple[np.ndarray, np.ndarray, bool]:
        image, truth = read_pair(pair, segmenter.codec, orientation)
        if side_by_side.takes(image):
            return truth, segmenter.probabilities(image), True
        return truth, image, False

    with side_by_side.predicting():
        done = in_threads(work, pairs, progress=False)
        hide = hide_bars() if progress else True
        for truth, values, predicted in tqdm(done, label, len(pairs), leave=False, disable=hide):
            yield truth, values if predicted else side_by_side.alone(values)


# --- what is meant -------------------------------------------------------------------------------


def _segmenter(model: Model) -> Segmenter:
    if isinstance(model, Segmenter):
        return model
    if isinstance(model, str | os.PathLike):
        return Segmenter.load(model)
    if hasattr(model, "segmenter"):
        return model.segmenter()
    dls: Any = getattr(model, "dls", None)  # a plain fastai Learner
    if hasattr(dls, "codec") and hasattr(dls, "preprocess"):
        return Segmenter(model.model, dls.codec, dls.preprocess)
    raise EvaluationError(
        f"{type(model).__name__} is no model to evaluate: a Segmenter, a learner over "
        "ImageMaskDataLoaders, or the folder of a bundle was expected."
    )


def _usable(pairs: Sequence[Pair], segmenter: Segmenter, progress: bool) -> Sequence[Pair]:
    good, skipped = without_bad_pairs(pairs, progress)
    good, unknown_values = without_unknown_values(good, segmenter.codec, progress)
    warn_of_skipped([*skipped, *unknown_values], len(pairs))
    return good


def _warn_of_other_masks(held: np.ndarray, segmenter: Segmenter, masks: int) -> None:
    """Masks of another encoding may be all background and void by that of the model."""
    if held[VOID] and not held[1:VOID].any():
        codec = segmenter.codec
        void = listing([codec.kind.format(code) for code in codec.void], 5)
        warn(
            f"None of the {masks} masks holds any class but {segmenter.classes[0]}; the rest of "
            f"their pixels is what the model takes for void ({void}). Are they encoded as the "
            "masks that it was trained on? Its codec says: "
            f"{segmenter.codec.describe().splitlines()[0]}."
        )


def _part(
    data: Data, split: str | None, model: Model, missing_ok: bool = False
) -> tuple[str, Sequence[Pair]]:
    """The name of a part and its pairs."""
    if isinstance(data, str | os.PathLike):
        data = find_pairs(data, missing_ok=missing_ok)
    by_part = getattr(data, "pairs", None)
    if isinstance(by_part, Mapping):
        given = [pair for part in by_part.values() for pair in part]
    else:
        given = list(data) if isinstance(data, Iterable) else [data]
    pairs = [pair for pair in given if isinstance(pair, Pair)]
    if len(pairs) < len(given):
        raise TypeError(
            f"{type(data).__name__} holds no pairs: those of find_pairs, a data folder, or "
            "ImageMaskDataLoaders were expected."
        )
    if not pairs:
        raise EvaluationError("There are no pairs; one image with its mask at least is needed.")
    if isinstance(data, PairList) and isinstance(model, str | os.PathLike):
        pairs = _as_split_for_training(pairs, Path(model))
    parts = {part: [pair for pair in pairs if pair.split == part] for part in (*PARTS, "")}
    there = [part for part, some in parts.items() if part and some]
    if split is None:
        split = next((part for part in ("test", "valid") if part in there), "all")
    if split in there:
        return split, parts[split]
    if split == "all" or not (there or isinstance(data, PairList)):
        return split, pairs
    raise SplitError(
        f"There is no {split!r} part; the data have "
        + (f"{listing(there)}. Name one of them" if there else "no split. Leave split out")
        + ', or take split="all".'
    )


def _as_split_for_training(pairs: list[Pair], bundle: Path) -> list[Pair]:
    """Pairs without parts get those of the run that made the bundle, if it was on these images."""
    if any(pair.split for pair in pairs):
        return pairs
    file = split_of(bundle)
    if file is None:
        why = f"{bundle} does not say which images it was trained on: it has no {SPLIT}"
    else:
        try:
            parts = load_split(pairs, file)
            if not (parts["valid"] or parts["test"]):
                warn(
                    f"{bundle} was trained on all of these images: the scores are too good. Those "
                    f"of its cross-validation are in {FOLDS_CSV} and the report of its run."
                )
            return [pair for part in parts.values() for pair in part]
        except SplitError:
            why = f"{bundle} was trained on other images than these, by its {SPLIT}"
    warn(f"{why}. All of these are evaluated. If some were trained on, their scores are too good.")
    return pairs


def _names(pairs: Sequence[Pair]) -> list[str]:
    """The image of each pair by its path below the common folder; with its mask if it has many."""
    names = relative_names(pair.image for pair in pairs)
    many = Counter(pair.image for pair in pairs)
    return [
        names[pair.image] + (f" ({pair.mask.name})" if many[pair.image] > 1 else "")
        for pair in pairs
    ]
