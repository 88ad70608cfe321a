"""Dealing units to parts so that each part gets its share of the pairs and of every class.

Iterative stratification: Sechidis, Tsoumakas, Vlahavas, "On the Stratification of Multi-Label
Data", ECML PKDD 2011. The rarest class is dealt first, each of its units to the part that wants the
class most. Three things differ from the paper: a unit may be a whole group of pairs, parts have a
size that is kept to, and a last pass exchanges units for the sake of classes that a part lacks.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Unit:
    """What is never divided: one image, or all images of a group."""

    size: int  # images
    holders: Counter[Hashable] = field(default_factory=Counter)  # class -> images that hold it


def deal(
    units: Sequence[Unit],  # in random order: it decides what nothing else does
    quotas: Sequence[int],  # images that each part should get; their sum is that of the units
) -> list[int]:
    """The part of each unit, as an index of `quotas`. No part stays empty.

    A part exceeds its quota by less than the largest unit, so by nothing where units are single
    images. There must be at least as many units as parts.
    """
    if all(unit.size == 1 and not unit.holders for unit in units):  # nothing to balance
        return [part for part, quota in enumerate(quotas) for _ in range(quota)]
    hand = _Hand(units, quotas)
    for index, label in _rarest_class_first(units):
        hand.give(index, label)
    hand.exchange()
    return hand.part_of


def _rarest_class_first(units: Sequence[Unit]) -> list[tuple[int, Hashable | None]]:
    """(unit, the class it is dealt for), large units first within a class, classless ones last."""
    waiting = dict.fromkeys(sorted(range(len(units)), key=lambda index: -units[index].size))
    holding: dict[Hashable, list[int]] = defaultdict(list)
    for index in waiting:
        for label in units[index].holders:
            holding[label].append(index)
    order = []
    while holding:
        # by repr where counts tie: the order of a set of names differs from process to process
        rarest = min(holding, key=lambda label: (len(holding[label]), repr(label)))
        for index in holding.pop(rarest):
            order.append((index, rarest))
            del waiting[index]
        left = {label: [i for i in indices if i in waiting] for label, indices in holding.items()}
        holding = {label: indices for label, indices in left.items() if indices}
    return order + [(index, None) for index in waiting]


class _Hand:
    """The units that each part was given, and what each part still wants."""

    def __init__(self, units: Sequence[Unit], quotas: Sequence[int]):
        self.units, self.parts = units, range(len(quotas))
        self.part_of = [-1] * len(units)
        self.room = list(quotas)
        self.waiting = len(units)
        self.members = [0] * len(quotas)  # units
        self.given: list[Counter[Hashable]] = [Counter() for _ in quotas]  # units, by class
        images, self.holding_units = Counter[Hashable](), Counter[Hashable]()
        for unit in units:
            images.update(unit.holders)
            self.holding_units.update(unit.holders.keys())
        self.wanted = {label: self._shares(label, images[label], quotas) for label in images}

    def _shares(self, label: Hashable, count: int, quotas: Sequence[int]) -> list[float]:
        """Images of a class that each part wants; at least one where there are units for all."""
        shares = [count * quota / sum(quotas) for quota in quotas]
        if self.holding_units[label] >= len(quotas):
            raised = [max(1.0, share) for share in shares]
            largest = max(self.parts, key=lambda part: shares[part])
            raised[largest] -= sum(raised) - count
            return raised
        return shares

    def give(self, index: int, label: Hashable | None) -> None:
        """Give a unit to the part that wants its class most, then to the emptiest."""
        candidates = [part for part in self.parts if self.room[part] > 0]
        empty = [part for part in self.parts if not self.members[part]]
        if self.waiting == len(empty):
            candidates = empty
        wanted = self.wanted.get(label, [0.0] * len(self.room))
        chosen = max(candidates, key=lambda part: (wanted[part], self.room[part]))
        self._put(index, chosen)
        self.waiting -= 1
        for held, images in self.units[index].holders.items():
            self.wanted[held][chosen] -= images

    def _put(self, index: int, part: int) -> None:
        unit = self.units[index]
        if (before := self.part_of[index]) >= 0:
            self.room[before] += unit.size
            self.members[before] -= 1
            self.given[before].subtract(unit.holders.keys())
        self.part_of[index] = part
        self.room[part] -= unit.size
        self.members[part] += 1
        self.given[part].update(unit.holders.keys())

    # --- exchange -------------------------------------------------------------------------------

    def exchange(self) -> None:
        """Bring classes to parts that lack them, where two units of one size can change places.

        Every exchange leaves parts with fewer classes lacking, so it comes to an end.
        """
        labels = sorted(
            self.holding_units, key=lambda label: (self.holding_units[label], repr(label))
        )
        exchanged = True
        while exchanged:
            exchanged = any(
                self._lacks(part, label) and self._bring(label, part)
                for label in labels
                for part in self.parts
            )

    def _lacks(self, part: int, label: Hashable) -> bool:
        possible = self.holding_units[label] >= len(self.room)
        return possible and self.given[part][label] < 1

    def _bring(self, label: Hashable, part: int) -> bool:
        for index, unit in enumerate(self.units):
            origin = self.part_of[index]
            if label not in unit.holders or origin == part:
                continue
            for other, candidate in enumerate(self.units):
                if self.part_of[other] != part or candidate.size != unit.size:
                    continue
                touched = [*(unit.holders | candidate.holders)]
                lacking = self._count_lacking(touched, (origin, part))
                self._put(index, part)
                self._put(other, origin)
                if self._count_lacking(touched, (origin, part)) < lacking:
                    return True
                self._put(index, origin)
                self._put(other, part)
        return False

    def _count_lacking(self, labels: Sequence[Hashable], parts: Sequence[int]) -> int:
        return sum(self._lacks(part, label) for part in parts for label in labels)
