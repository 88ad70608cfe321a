"""Look at the data and the machine, and choose what a plan leaves open."""

from functools import lru_cache, partial

import torch

from fastunet._util import processes
from fastunet.data.prepare import Understood
from fastunet.models.build import architecture, default_width
from fastunet.plan import AUTO, Plan
from fastunet.planner.choose import ENCODERS, choose
from fastunet.planner.facts import DataFacts, MachineFacts
from fastunet.planner.reasons import Reason
from fastunet.planner.speed import pixels_a_second


def fill(
    plan: Plan,
    data: Understood,
    device: torch.device,
    seconds: float | None,  # that are left of the plan's minutes
    trains: bool = True,  # how long, and in which folds, is to be chosen, too
) -> tuple[Plan, list[Reason]]:
    """The plan with nothing left open, and why it is so."""
    if not is_open(plan, trains):
        return plan, []
    facts = DataFacts.of(data, plan.input.channels)
    speed = lru_cache(partial(_speed, plan, facts, data.codec.n_out, device))
    weights = _weights() if plan.model.arch == AUTO else (None, "")
    machine = MachineFacts(device.type, seconds, *weights, speed, processes.count())
    return choose(plan, facts, machine, trains)


def is_open(plan: Plan, trains: bool = True) -> bool:
    """Whether there is anything to choose."""
    sees = plan.input.size is None and plan.input.patch is None
    lasts = plan.fit.epochs or plan.fit.minutes or plan.clock or not trains
    return plan.model.arch == AUTO or sees or None in (plan.input.augment, plan.input.bs, lasts)


def _weights() -> tuple[str | None, str]:
    """The first encoder with weights at hand, and where they are."""
    from fastunet.models.pretrained import weights_at_hand  # timm takes a while

    for name in ENCODERS:
        where = weights_at_hand(name)
        if where in ("installed", "cached"):
            return name, where
    return None, ""


def _speed(
    plan: Plan,
    facts: DataFacts,
    n_out: int,
    device: torch.device,
    arch: str,
) -> float:
    width = plan.model.width or default_width(device)
    options = {"width": width} if arch == "unet" else None
    channels = plan.input.channels or facts.channels
    network = architecture(arch)
    return pixels_a_second(network, channels, n_out, device, plan.fit.precision, options)
