"""The check of images that are there twice, above all on both sides of a split."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from fastunet._util.text import plural
from fastunet.checks.check import CheckContext, check
from fastunet.checks.duplicates import groups_of, near_duplicates
from fastunet.checks.finding import Finding, Severity
from fastunet.scan.pair_stats import PairStats

Groups = Sequence[Sequence[PairStats]]


@check(needs="pixels")
def check_duplicates(context: CheckContext) -> Iterator[Finding]:
    """Equal and similar images."""
    seen = [(stats, stats.image) for stats in context.stats if stats.image]
    same: dict[bytes, list[PairStats]] = defaultdict(list)
    for stats, image in seen:
        same[image.digest].append(stats)
    copies = [group for group in same.values() if len(group) > 1]
    yield from _different_masks(context, copies)
    yield from _alike(context, copies, "duplicate", "are there more than once, pixel by pixel")

    across: list[tuple[int, int]] = []
    inside: list[tuple[int, int]] = []
    for one, other in near_duplicates([image.thumb for _, image in seen]):
        (a, first), (b, second) = seen[one], seen[other]
        if first.digest != second.digest:
            (inside if a.pair.split == b.pair.split else across).append((one, other))
    for links in (across, inside):
        groups = [[seen[i][0] for i in group] for group in groups_of(links)]
        yield from _alike(context, groups, "near-duplicate", "look the same as another one")


def _different_masks(context: CheckContext, groups: Groups) -> Iterator[Finding]:
    differ = [group for group in groups if len({f.mask.digest for f in group if f.mask}) > 1]
    files = [f.pair.mask for group in differ for f in group]
    message = (
        f"{plural(len(differ), 'image is', 'images are')} there more than once with different "
        "masks: {files}. Training gets answers that contradict each other."
    )
    remedy = "Keep the right mask of each and take the other pairs out."
    yield from context.report("error", "conflicting-masks", message, remedy, files)


def _alike(context: CheckContext, groups: Groups, code: str, what: str) -> Iterator[Finding]:
    """Groups of like images: a leak where they lie in several parts, or may come to."""
    across = [group for group in groups if len({f.pair.split for f in group}) > 1]
    inside = [group for group in groups if len({f.pair.split for f in group}) == 1]
    if across:
        files = [f.pair.image for group in across for f in group]
        there = {f.pair.split for group in across for f in group}
        parts = " and ".join(part for part in context.splits if part in there)
        severity: Severity = "error" if code == "duplicate" else "warning"
        message = (
            f"{{n:image|images}} in {parts} {what}: {{files}}. The scores of a part are too good "
            "where its images have been trained on."
        )
        remedy = "Keep each image in one part only."
        yield from context.report(severity, f"{code}-across-splits", message, remedy, files)
    files = [f.pair.image for group in inside for f in group]
    found = f"{{n:image|images}} {what} ({plural(len(inside), 'group')}): {{files}}."
    if context.splits:
        message = f"{found} They count more than once in training and scores."
        remedy = "Nothing, or keep one of each."
        yield from context.report("note", code, message, remedy, files)
    else:
        message = f"{found} A random split puts copies on both sides, and the scores are too good."
        remedy = "Keep one of each, or split by groups (groups=) so that copies stay together."
        yield from context.report("warning", code, message, remedy, files)
