"""One trial of a search: a short training, scored at the images' own size."""

import gc
import io
import math
import random
import time
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from fastai.callback.core import CancelFitException

from fastunet import from_plan
from fastunet.callback.plain import PlainCallback
from fastunet.data.augment import augmentation_of
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.data.prepare import Understood
from fastunet.data.transforms import RandomView
from fastunet.errors import TrainingError
from fastunet.evaluation.evaluate import best_threshold, evaluate
from fastunet.evaluation.result import Evaluation
from fastunet.finish import PredictOnce
from fastunet.learner import SegmentationLearner
from fastunet.pairs.pair import Pair
from fastunet.plan import Plan
from fastunet.scan.decoded import DecodedFiles

if TYPE_CHECKING:
    from optuna import Trial

STEPS = 8  # of a trial, as Optuna counts them
_LOOKS = (2, 4)  # after so many of them a trial is compared with others
_LATE = 1.3  # times its time, after which a trial is too slow to be compared with others
_ENOUGH = 0.7  # of a trial's time: with less it is not comparable


class OutOfTime(Exception):
    """The trial would not end in time."""


class KeptFiles(DecodedFiles):
    """Decoded files that stay for the next trial."""

    def clear(self) -> None:
        """Nothing is cleared."""

    def forget(self, pair: Pair) -> None:
        """Nothing is forgotten."""


@dataclass
class TrialData:
    """The data of all trials: decoded once, on one split, a set of loaders for each size."""

    understood: Understood
    _loaders: dict[Any, ImageMaskDataLoaders] = field(default_factory=dict)

    def loaders(self, plan: Plan) -> ImageMaskDataLoaders:
        """Loaders as the plan wants them; the same random numbers come of them each time."""
        made = self._loaders.get(plan.input.size)
        if made is None:
            made = self._loaders[plan.input.size] = from_plan.load(plan, self.understood)
        for transform in made.train.after_item:
            if isinstance(transform, RandomView):
                transform.augment = augmentation_of(plan.input.augment)
        for loader in made.loaders:
            loader.rng = random.Random(plan.split.seed)
        return made


@dataclass(frozen=True)
class Trained:
    """What a trial came to."""

    plan: Plan  # with all that was decided
    learn: SegmentationLearner
    scores: Evaluation | None  # on the validation part; None: it was pruned
    seconds: float  # of training
    overhead: float  # seconds besides


def own_size(
    learn: SegmentationLearner,
    pairs: list[Pair],
    n_boot: int = 0,
) -> Evaluation:
    """What it scores on them, as `evaluate` does, with the threshold that is the best for them."""
    once = PredictOnce.of(learn)
    if learn.dls.task == "binary":
        once.threshold = best_threshold(once, pairs, "all", progress=False)
    return evaluate(
        once, pairs, "valid", calibration=False, objects=False, n_boot=n_boot, progress=False
    )


def seconds_an_image(learn: SegmentationLearner) -> float:
    """That `own_size` takes, the first time rather than later."""
    some = spread(learn.dls.pairs["valid"], 2)
    begun = time.perf_counter()
    own_size(learn, some)
    return (time.perf_counter() - begun) / len(some)


def spread(pairs: list[Pair], count: int) -> list[Pair]:
    """So many of them, from all over the list."""
    count = min(count, len(pairs))
    return [pairs[i * len(pairs) // count] for i in range(count)]


class Compare(PlainCallback):
    """Tell Optuna how a trial does after a quarter and a half; end it where others did better.

    It is measured at the images' own size, so that trials of any network size can be compared.
    """

    order = 62  # when the best epoch is kept

    def __init__(
        self,
        trial: "Trial",
        pairs: list[Pair],  # by which it is measured
        ends: float,  # by `time.perf_counter`: there is no more time
        late: float,  # by `time.perf_counter`: others trained for less
    ):
        super().__init__()
        self.optuna_trial, self.measured_on = trial, pairs
        self.ends, self.late = ends, late
        self.looked, self.pruned = 0, False

    def after_batch(self):  # noqa: D102
        now = time.perf_counter()
        if now > self.ends:
            raise OutOfTime("There is no time left.")
        if now > self.late:
            raise TrainingError("It is too slow: one epoch takes longer than a trial may.")

    def after_epoch(self):  # noqa: D102
        step = max((one for one in _LOOKS if one <= STEPS * self.pct_train), default=0)
        if step <= self.looked or self.pct_train >= 1:
            return
        self.looked = step
        self.optuna_trial.report(own_size(self.learn, self.measured_on).dice, step)
        if self.optuna_trial.should_prune():
            self.pruned = True
            raise CancelFitException


def train_trial(
    trial: "Trial",
    plan: Plan,
    data: TrialData,
    path: Path,  # where its best epoch goes
    images: tuple[int, int],  # validation images to compare it by on the way, and to score it by
    seconds: float,  # to train, unless the plan says how many epochs
    ends: float,  # by `time.perf_counter`: when it must be over
    least: bool,  # it is done even where less time is left
) -> Trained:
    """Train as long as all trials do, and score it.

    Raises `OutOfTime` where it would not end in time, and what training raises.
    """
    started = time.perf_counter()
    gc.collect()  # the network of the trial before
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first look at the data has told them
        from_plan.begin(plan)
        dls = data.loaders(plan)
        torch.manual_seed(plan.split.seed)
        learn = from_plan.learner(plan, dls, path)
        few, scored = (spread(dls.pairs["valid"], count) for count in images)
        scoring = seconds_an_image(learn) * len(scored)
        rate = plan.fit.lr
        if rate == "auto":
            rate = from_plan.find_lr(learn, plan.fit.lr_batches, path / "lr_find.png")
        rest = ends - scoring - time.perf_counter()
        if rest < (_ENOUGH * seconds if not least else 0):
            raise OutOfTime("There is no time left.")
        begun = time.perf_counter()
        late = math.inf if least or plan.fit.epochs else begun + _LATE * seconds
        compare = Compare(trial, few, math.inf if least else ends - scoring, late)
        if plan.fit.epochs:
            learn.fit_one_cycle(plan.fit.epochs, rate, cbs=compare)
        else:
            learn.fit_minutes(max(0.5, min(seconds, rest)) / 60, rate, cbs=compare)
        trained = time.perf_counter() - begun
        scores = None if compare.pruned else own_size(learn, scored, n_boot=1000)
    if not len(learn.recorder.values):
        raise TrainingError("No epoch of it ended.")
    if scores is not None and scores.threshold is not None:
        learn.threshold = scores.threshold
    total = time.perf_counter() - started
    decided = from_plan.decided(plan, learn, rate)
    return Trained(decided, learn, scores, trained, total - trained)
