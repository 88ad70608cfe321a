"""What an encoding makes of masks, and what the user says of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastunet.labels import MAX_CLASSES
from fastunet.masks.codes import Code
from fastunet.masks.statistics import MaskSetStats


@dataclass(frozen=True)
class UserStatement:
    """What the user says of the masks, as far as it helps to read them."""

    n_names: int | None = None  # how many classes were named, in order
    void: tuple[Code, ...] = ()  # codes that do not count


@dataclass(frozen=True)
class Reading:
    """What masks mean, by one encoding."""

    meaning: str  # in plain words, for the question
    stats: MaskSetStats  # its codes are the classes, in their order
    fit: float  # how much of what was found it explains: 1 all, 0 none
    option: str = ""  # what the user types to have it
    void: tuple[Code, ...] = ()
    aliases: Mapping[Code, Code] = field(default_factory=dict)  # code -> that of its class
    refusal: str = ""  # why such masks cannot be used as they are


# What the masks mean if they are encoded in one way; None where they cannot be.
Encoding = Callable[[MaskSetStats, UserStatement], Reading | None]


def are_few(stats: MaskSetStats) -> bool:
    """Whether the codes can all be classes."""
    return 2 <= len(stats.codes) <= MAX_CLASSES


def name_all(stats: MaskSetStats) -> str:
    """What the user types to have all codes as classes."""
    names = [f"class {i}" for i in range(len(stats.codes))]
    return f"classes={names}" if len(names) <= 6 else f"classes=[...] with {len(names)} names"
