"""Few images: each is scored by a model that has not seen it, and the model is trained on all.

The images are dealt into k folds. For each fold a model is trained on the others and predicts it
(Stone 1974, "Cross-validatory choice and assessment of statistical predictions"). Its scores are
those of somewhat fewer images and a shorter training than the model has that is kept.
"""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fastai.torch_core import set_seed

from fastunet._util import processes
from fastunet._util.files import make_folder, write_atomically
from fastunet._util.terminal import say
from fastunet.callback.best_bundle import SaveBestBundle
from fastunet.callback.checkpoint import Checkpoint
from fastunet.callback.time_budget import TimeBudget
from fastunet.data.prepare import Understood
from fastunet.data.reader import read_pair
from fastunet.errors import OptionError
from fastunet.finish import HeldOut, PredictOnce
from fastunet.from_plan import learner, load
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle
from fastunet.learner import SegmentationLearner
from fastunet.pairs.pair import Pair
from fastunet.pairs.split import k_fold
from fastunet.plan import EPOCHS, Plan
from fastunet.runs.contents import (
    BEST,
    CHECKPOINT_FILES,
    CHECKPOINTS,
    FOLD_DONE,
    fold_folder,
)

OF_TIME = 0.6  # of the training time, for all folds together; the rest is for the model
_LEAST = 1.0  # seconds of training, however little was asked for


@dataclass(frozen=True)
class Fold:
    """What one model has not seen."""

    pairs: tuple[Pair, ...]
    model: Segmenter
    score: float  # at the network's input size, by what the best epoch was chosen


class OutOfFold(PredictOnce):
    """Predicts each image with the model that has not seen it, and others with the last one."""

    _by_image: dict[tuple, Segmenter]

    @classmethod
    def of_folds(cls, learn: SegmentationLearner, folds: Sequence[Fold]) -> "OutOfFold":
        """Of a learner that was trained on all of them."""
        made = cls.of(learn)
        made._by_image = {}
        for fold in folds:
            fold.model.model.eval()
            for pair in fold.pairs:
                image, _ = read_pair(pair, made.codec, made.preprocess.orientation)
                made._by_image.setdefault(made.key(image), fold.model)
        return made

    def predicted(self, image: np.ndarray) -> np.ndarray:
        """As `PredictOnce.predicted`."""
        model = self._by_image.get(self.key(image))
        return super().predicted(image) if model is None else model.probabilities(image)


def cross_validate(
    plan: Plan,  # with nothing left open
    data: Understood,
    folder: Path,  # of the run
    rate: float,  # peak learning rate
    seconds: float | None,  # for all folds; None: each trains for the plan's epochs
) -> list[Fold]:
    """Train a model for each fold. What was done before the run was stopped is not done again.

    Raises what `k_fold` raises: `SplitError` where there are fewer images than folds.
    """
    k = plan.split.folds
    assert k is not None
    if processes.count() > 1:
        raise OptionError("folds= is for one process; several train without it.")
    begun = processes.clock()
    folds = []
    for index in range(k):
        left = None
        if seconds is not None:
            left = max((begun + seconds - processes.clock()) / (k - index), _LEAST)
        parts = k_fold(data.shown, k, index, plan.split.seed, data.present, plan.split.groups)
        fold = _train(plan, replace(data, parts=parts), folder / fold_folder(index), rate, left)
        say(f"Fold {index + 1} of {k}: {len(fold.pairs)} images, {fold.score:.4f}")
        folds.append(fold)
    return folds


def _train(plan: Plan, data: Understood, folder: Path, rate: float, seconds: float | None) -> Fold:
    """The model of a fold, from its folder where it is trained already."""
    make_folder(folder)
    set_seed(plan.split.seed)
    with redirect_stdout(io.StringIO()):  # all folds see the data alike
        learn = learner(plan, load(plan, data), folder)
    pairs = tuple(data.parts["valid"])
    done = folder / FOLD_DONE
    monitor = learn.monitored
    if not done.is_file():
        best = SaveBestBundle(folder / BEST, monitor)
        checkpoint = Checkpoint(folder / CHECKPOINTS, plan.fit.checkpoint_minutes, resume=True)
        callbacks = [best, checkpoint]
        if seconds is None:
            learn.fit_one_cycle(plan.fit.epochs or EPOCHS, rate, cbs=callbacks)
        else:
            before = checkpoint.told_by(TimeBudget)
            left = min(seconds, before["left"]) if before else seconds
            learn.fit_minutes(max(left, _LEAST) / 60, rate, cbs=callbacks)
        learn.save_bundle(folder / BEST, {monitor: best.best_score})
        write_atomically(done, f"{best.best_score}\n".encode())
        for file in (folder / CHECKPOINTS).glob(CHECKPOINT_FILES):
            file.unlink()
    learn.model.load_state_dict(Bundle.load(folder / BEST).weights)
    return Fold(pairs, learn.segmenter(), float(done.read_text()))


def trained_on_all(
    data: Understood,
    few: int = 4,  # images that stand for a validation part, while there is none
) -> Understood:
    """All images to train on. Some of them are validated on, too: their scores mean nothing."""
    pool = data.shown
    step = max(1, len(pool) // few)
    parts = {"train": pool, "valid": pool[::step][:few], "test": data.parts["test"]}
    return replace(data, parts=parts)


def held_out_of(learn: SegmentationLearner, folds: Sequence[Fold]) -> HeldOut:
    """All images, each by the model that has not seen it."""
    pairs = [pair for fold in folds for pair in fold.pairs]
    numbers = [number for number, fold in enumerate(folds, 1) for _ in fold.pairs]
    return HeldOut(pairs, OutOfFold.of_folds(learn, folds), numbers)
