"""Never worse: a new model takes an old one's place only where it is better beyond chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastunet._util.terminal import say
from fastunet._util.text import listing
from fastunet._util.warn import warn
from fastunet.errors import OptionError, SplitError
from fastunet.evaluation.compare import Comparison, Difference, compare
from fastunet.evaluation.evaluate import best_threshold, evaluate
from fastunet.evaluation.result import Evaluation
from fastunet.inference import Segmenter
from fastunet.pairs.pair import Pair
from fastunet.pairs.split import load_split
from fastunet.plan import Plan
from fastunet.runs.contents import split_of


@dataclass(frozen=True)
class Verdict:
    """Which of two models is kept, and the scores of both on the same images."""

    old: Path
    of_old: Evaluation  # as it stands, by its own threshold
    comparison: Comparison  # new minus old, by the best threshold of each

    @property
    def dice(self) -> Difference:
        """The difference that decides."""
        return next(one for one in self.comparison.differences if one.score == "dice")

    @property
    def is_new_better(self) -> bool:
        """Whether the whole interval of the difference is above 0."""
        return self.dice.interval is not None and self.dice.interval[0] > 0

    def __str__(self) -> str:
        """`Kept: the new model; Dice 0.91 for 0.88 ...`."""
        dice = self.dice
        ends = "no interval, too few images"
        if dice.interval is not None:
            ends = f"{dice.interval[0]:+.4f} to {dice.interval[1]:+.4f}"
        kept = "the new model" if self.is_new_better else f"{self.old}, the new one is not better"
        return (
            f"Kept: {kept}. Dice {dice.a:.4f} (new) and {dice.b:.4f} (old) on the same "
            f"{self.comparison.images} images; the difference is {dice.difference:+.4f} ({ends})"
        )


def check_old(old: Path) -> None:
    """Raise what `Segmenter.load` raises where it is no model."""
    Segmenter.load(old)


def on_the_same_split(plan: Plan, old: Path, pairs: Sequence[Pair]) -> Plan:
    """The plan with the split of the old model's training, so that neither has seen what decides.

    Warns where that cannot be: the old one may then have been trained on what it is judged by.
    """
    if plan.split.split is not None or plan.split.fold is not None:
        return plan
    if any(pair.split == "test" for pair in pairs):
        return plan  # which neither was trained on
    file = split_of(old)
    why = f"it has no split.json beside it ({old})"
    if file is not None:
        try:
            load_split(pairs, file)
            say(f"Split:   that of {old}")
            return plan.but(split=file)
        except SplitError as error:
            why = str(error)
    warn(f"The old model may have been trained on images that it is now judged by: {why}")
    return plan


def judge(
    old: Path,  # a bundle
    new: Evaluation,  # of the new model
    pairs: Sequence[Pair],  # that the new one was evaluated on
) -> Verdict:
    """Evaluate the old model as the new one was, and compare.

    Raises `OptionError` where the old one knows other classes.
    """
    model = Segmenter.load(old)
    if tuple(model.classes) != new.classes:
        raise OptionError(
            f"{old} knows the classes {listing(model.classes)}; these data have "
            f"{listing(new.classes)}. Only models of the same classes can be compared."
        )
    pairs = list(pairs)
    of_old = evaluate(model, pairs, new.split)
    at_its_best = of_old
    if new.split == "valid" and model.codec.task == "binary":  # as that of the new one was chosen
        model.threshold = best_threshold(model, pairs, "all")
        at_its_best = evaluate(model, pairs, new.split)
    return Verdict(old, of_old, compare(new, at_its_best))
