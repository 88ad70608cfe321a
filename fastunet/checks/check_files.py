"""Checks of files and pictures: whether they open, fit together and differ."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from fastunet._util.text import plural
from fastunet.checks.duplicates import groups_of, near_duplicates
from fastunet.checks.examine import Facts
from fastunet.checks.finding import Finding, Material
from fastunet.io.images import NOT_FINITE_HARM, NOT_FINITE_REMEDY
from fastunet.pairs.groups import propose_groups

_LIST = 5  # details spelled out in a message


def check_files(material: Material) -> Iterator[Finding]:
    """Files that are empty, end early, or cannot be decoded."""
    faults = defaultdict(list)
    for facts in material.facts:
        for fault in facts.faults:
            faults[fault.kind].append(fault)
    said = {
        "empty-file": "{n} of the files hold no bytes: {files}.",
        "truncated": "{n} of the files end early (a copy or download broke off): {files}.",
        "unreadable": "{n} of the files cannot be decoded: {files}.",
        "not-a-mask": "{n} of the masks cannot be understood: {files}.",
    }
    for kind, message in said.items():
        if faults[kind]:
            told = kind in ("unreadable", "not-a-mask")
            reason = f" {faults[kind][0].reason.rstrip('.')}." if told else ""
            yield material.find(
                "error", kind, message + reason.replace(str(material.root) + "/", ""),
                ("Save them anew" if kind == "not-a-mask" else "Copy them again from their source")
                + ", or take image and mask out of the folders.",
                [fault.file for fault in faults[kind]],
            )  # fmt: skip


def check_sizes(material: Material) -> Iterator[Finding]:
    """Masks that do not have their image's size, and those that fit the photo before it turned."""
    wrong = [f for f in material.facts if f.fits == "no" and f.image and f.mask]
    if wrong:
        sizes = "; ".join(
            f"{material.name(f.pair.image)} {spell_size(f.image.size)}, mask "
            f"{spell_size(f.mask.size)}"
            for f in wrong[:_LIST]
        )
        more = f" and {len(wrong) - _LIST} more" if len(wrong) > _LIST else ""
        yield material.find(
            "error", "size-mismatch",
            f"{plural(len(wrong), 'mask does', 'masks do')} not have the size of the image (height "
            f"x width): {sizes}{more}.",
            "Export these masks again at their image's size, or take the pairs out.",
            [f.pair.mask for f in wrong],
        )  # fmt: skip
    turned = [f.pair.image for f in material.facts if f.fits == "stored" and not f.undecided]
    if turned:
        yield material.find(
            "note", "exif-rotation",
            "{n} of the photos are turned by their EXIF tag and their masks fit the pixels as "
            "stored: {files}.",
            "Nothing: these photos are read without turning them.", turned,
        )  # fmt: skip


def check_pixels(material: Material) -> Iterator[Finding]:
    """Pixels that are no numbers, pictures of one colour, and mixed channels."""
    images = [(f.pair.image, f.image) for f in material.facts if f.image]
    bad = [path for path, image in images if image.not_finite]
    if bad:
        pixels = sum(image.not_finite for _, image in images)
        yield material.find(
            "error", "not-finite",
            f"{{n}} of the images hold NaN or infinity, in {pixels} pixels: {{files}}. "
            + NOT_FINITE_HARM,
            NOT_FINITE_REMEDY, bad,
        )  # fmt: skip
    flat = [path for path, image in images if not image.std.any() and not image.not_finite]
    if flat:
        yield material.find(
            "warning", "constant-image",
            "{n} of the images have one colour all over: {files}. There is nothing to see on them.",
            "Take them out with their masks, or export them again.", flat,
        )  # fmt: skip
    yield from _mixed_channels(material, images)


def _mixed_channels(material: Material, images: Sequence) -> Iterator[Finding]:
    kinds = Counter(image.channels for _, image in images)
    if len(kinds) > 1:
        usual = kinds.most_common(1)[0][0]
        mendable = set(kinds) <= {1, 3}
        yield material.find(
            "note" if mendable else "error", "mixed-channels",
            f"The images have different numbers of channels ({_tally(kinds)}); {{files}} differ "
            "from the most.",
            "Nothing: grey images are read as colour." if mendable
            else "Export all images with the same channels, or take these out.",
            [path for path, image in images if image.channels != usual],
        )  # fmt: skip
    grey = [path for path, image in images if image.channels == 3 and image.grey]
    if grey:
        every = len(grey) == len(images)
        yield material.find(
            "note", "grey-as-colour",
            ("All images are" if every else f"{{n}} of {len(images)} images are")
            + " grey pictures stored as colour.",
            "Nothing: they are trained on as grey." if every
            else "Nothing: all are read as colour; if grey and colour are different kinds of "
            "pictures, see that each part of the split has both.",
            grey,
        )  # fmt: skip


# --- the same picture twice -----------------------------------------------------------------------


def check_duplicates(material: Material) -> Iterator[Finding]:
    """Equal and similar pictures, above all on both sides of a split."""
    facts = [f for f in material.facts if f.image]
    same = defaultdict(list)
    for f in facts:
        same[f.image.digest].append(f)
    groups = [group for group in same.values() if len(group) > 1]
    yield from _conflicts(material, groups)
    yield from _told(material, groups, "duplicate", "are there more than once, pixel by pixel")

    pairs = near_duplicates([f.image.thumb for f in facts])
    like = [(a, b) for a, b in pairs if facts[a].image.digest != facts[b].image.digest]
    across = [(a, b) for a, b in like if facts[a].pair.split != facts[b].pair.split]
    inside = [(a, b) for a, b in like if facts[a].pair.split == facts[b].pair.split]
    for links in (across, inside):
        groups = [[facts[i] for i in group] for group in groups_of(links)]
        yield from _told(material, groups, "near-duplicate", "look the same as another one")


def _conflicts(material: Material, groups: Sequence[list[Facts]]) -> Iterator[Finding]:
    differ = [g for g in groups if len({f.mask.digest for f in g if f.mask}) > 1]
    if differ:
        files = [f.pair.mask for group in differ for f in group]
        yield material.find(
            "error", "conflicting-masks",
            f"{plural(len(differ), 'image is', 'images are')} there more than once with different "
            "masks: {files}. Training is told two truths.",
            "Keep the right mask of each and take the other pairs out.", files,
        )  # fmt: skip


def _told(
    material: Material, groups: Sequence[list[Facts]], code: str, what: str
) -> Iterator[Finding]:
    """Groups of like pictures: a leak where they lie in several parts, or may come to."""
    across = [g for g in groups if len({f.pair.split for f in g}) > 1]
    inside = [g for g in groups if len({f.pair.split for f in g}) == 1]
    exact = code == "duplicate"
    if across:
        files = [f.pair.image for group in across for f in group]
        parts = " and ".join(p for p in material.splits
                             if any(f.pair.split == p for g in across for f in g))  # fmt: skip
        yield material.find(
            "error" if exact else "warning", f"{code}-across-splits",
            f"{{n}} images in {parts} {what}: {{files}}. The scores of a part are too good where "
            "its pictures have been trained on.",
            "Keep each picture in one part only.", files,
        )  # fmt: skip
    if inside:
        files = [f.pair.image for group in inside for f in group]
        split = bool(material.splits)
        text = f"{{n}} images {what} ({plural(len(inside), 'group')}): {{files}}."
        yield material.find(
            "note" if split else "warning", code,
            text + (" They count more than once in training and scores." if split else
                    " A random split puts copies on both sides, and the scores are too good."),
            "Nothing, or keep one of each." if split
            else "Keep one of each, or split by groups (groups=) so that copies stay together.",
            files,
        )  # fmt: skip


def check_groups(material: Material) -> Iterator[Finding]:
    """Pictures that belong together by their names, in several parts of the split."""
    given = {pair: pair.group for pair in material.pairs if pair.group}
    groups = given or propose_groups(material.pairs)
    if not groups:
        return
    members = defaultdict(list)
    for pair, group in groups.items():
        members[group].append(pair)
    if not material.splits:
        if not given:
            example = min(members, key=lambda name: (-len(members[name]), name))
            yield material.find(
                "note", "groups",
                f"By their names, the images come in {{n}} groups ({example!r}: "
                f"{plural(len(members[example]), 'image')}). Pictures of one group are alike, and "
                "a random split would test on what has been trained on.",
                'Split by group: groups="auto" (--groups auto).',
                count=len(members),
            )  # fmt: skip
        return
    torn = {name: {p.split for p in pairs} for name, pairs in members.items()}
    torn = {name: parts for name, parts in torn.items() if len(parts) > 1}
    if torn:
        shown = "; ".join(f"{name} in {', '.join(p for p in material.splits if p in parts)}"
                          for name, parts in sorted(torn.items())[:_LIST])  # fmt: skip
        yield material.find(
            "warning", "group-across-splits",
            f"{len(torn)} of {len(members)} groups have pictures in several parts ({shown}). "
            "Pictures of one group are alike, so the scores may be too good.",
            "Make a split that keeps each group in one part, or say so where you report scores.",
            [pair.image for name in sorted(torn) for pair in members[name]], len(torn),
        )  # fmt: skip


def spell_size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _tally(counts: Counter) -> str:
    return ", ".join(f"{count} with {kind}" for kind, count in counts.most_common())
