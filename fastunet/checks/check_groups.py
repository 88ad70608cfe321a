"""The check of images that belong together, such as the frames of a video."""

from collections import defaultdict
from collections.abc import Iterator

from fastunet._util.text import plural
from fastunet.checks.check import CheckContext, check
from fastunet.checks.finding import Finding
from fastunet.pairs.groups import propose_groups
from fastunet.pairs.pair import Pair

_LISTED = 5  # groups that a message names


@check(needs="headers")
def check_groups(context: CheckContext) -> Iterator[Finding]:
    """Images that belong together by their names, in several parts of the split."""
    given = {pair: pair.group for pair in context.pairs if pair.group}
    members: dict[str, list[Pair]] = defaultdict(list)
    for pair, group in (given or propose_groups(context.pairs) or {}).items():
        members[group].append(pair)
    if context.splits:
        yield from _across_splits(context, members)
    elif members and not given:
        example = min(members, key=lambda name: (-len(members[name]), name))
        message = (
            "By their names, the images come in {n:group|groups} ({example}). Images of one group "
            "are alike, and a random split would test on what has been trained on."
        )
        remedy = 'Split by group: groups="auto" (--groups auto).'
        told = f"{example!r}: {plural(len(members[example]), 'image')}"
        yield from context.report("note", "groups", message, remedy, n=len(members), example=told)


def _across_splits(context: CheckContext, members: dict[str, list[Pair]]) -> Iterator[Finding]:
    parts = {name: {pair.split for pair in pairs} for name, pairs in members.items()}
    across = [name for name in sorted(members) if len(parts[name]) > 1]
    shown = "; ".join(
        f"{name} in {', '.join(part for part in context.splits if part in parts[name])}"
        for name in across[:_LISTED]
    )
    yield from context.report(
        "warning",
        "group-across-splits",
        f"{len(across)} of {len(members)} groups have images in several parts ({{shown}}). Images "
        "of one group are alike, so the scores may be too good.",
        "Make a split that keeps each group in one part, or say so where you report scores.",
        [pair.image for name in across for pair in members[name]],
        len(across),
        shown=shown,
    )
