"""What files show of their encodings when they are held against each other."""

from collections.abc import Collection

from fastunet.masks.codes import TRANSPARENT, Code, CodeKind, is_grey_code
from fastunet.masks.statistics import MaskSetStats

_ALL_SET = {1, 255, 65535}  # what a pixel holds that is simply "on", by the depth of the file


def groups(stats: MaskSetStats) -> list[set[Code]]:
    """The codes beside the background, in groups of which no file holds two."""
    found: list[set[Code]] = []
    for codes in stats.present.values():
        together = {code for code in codes if code in stats.codes} - {0, TRANSPARENT}
        if together:
            touched = [group for group in found if group & together]
            found = [group for group in found if not group & together]
            found.append(together.union(*touched))
    return sorted(found, key=min)


def differ_from_file_to_file(stats: MaskSetStats) -> bool:
    """Whether files seem to differ in their encoding."""
    return grey_and_colour(stats) or look_like_several_encodings(stats)


def look_like_several_encodings(stats: MaskSetStats) -> bool:
    """Whether files hold values that never meet, and together make no order.

    One class per image, of three or more, is no such case: its values are single, and none of them
    is one that only says that a pixel is set.
    """
    found = groups(stats)
    if len(found) <= 2:
        return len(found) == 2
    return any(len(group) > 1 for group in found) or (
        stats.kind is CodeKind.VALUE and any(group <= _ALL_SET for group in found)
    )


def grey_and_colour(stats: MaskSetStats) -> bool:
    """Whether files without a colour hold greys that no file with colours holds."""
    grey = [f.path for f in stats.files if not f.colourful]
    lively = [f.path for f in stats.files if f.colourful]
    of_grey, of_colour = (
        set().union(*(stats.present[path] for path in paths)) & set(stats.codes)
        for paths in (grey, lively)
    )
    return bool(of_colour) and any(is_grey_code(c) for c in of_grey - of_colour - {0, TRANSPARENT})


def count_from_zero_and_one(stats: MaskSetStats) -> bool:
    """Whether some files seem to count their classes from 0 and some from 1.

    Many files then lack the lowest value, others the highest, and none holds both; nor are the
    files of one value each.
    """
    low, high = stats.codes[0], stats.codes[-1]
    files = list(stats.present.values())
    with_low, with_high = ([codes for codes in files if end in codes] for end in (low, high))
    apart = not any(high in codes for codes in with_low)
    apart = apart and all(max(map(len, held), default=0) > 1 for held in (with_low, with_high))
    return apart and min(len(with_low), len(with_high), len(files) - len(with_low)) > 1


def are_stretched(stats: MaskSetStats) -> bool:
    """Whether each file is spread over 0..255 by itself, as a picture of class indices is drawn."""
    files = [codes & set(stats.codes) for codes in stats.present.values()]
    files = [codes for codes in files if len(codes) > 1]
    if stats.codes[-1] != 255 or not all(max(codes) == 255 for codes in files):
        return False
    steps = {_evenly_spread(codes) for codes in files}
    together = _evenly_spread(stats.codes)
    regular = together is not None and len(stats.codes) >= together  # but for one, all are there
    return None not in steps and len(steps) > 1 and not regular


def _evenly_spread(codes: Collection[Code]) -> int | None:
    """Into how few even steps of 0..255 the codes fit; None where it takes more than eight."""
    for steps in range(1, 9):
        marks = [255 * i / steps for i in range(steps + 1)]
        if all(min(abs(code - mark) for mark in marks) <= 1 for code in codes):
            return steps
    return None
