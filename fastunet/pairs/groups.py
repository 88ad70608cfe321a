"""Groups of pairs that must not be torn apart: views of a car, frames of a video, tiles of a scene.

Neighbouring frames show nearly the same picture. With one in training and the next in validation,
a score says how well the network remembers, not how well it generalises.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from fastunet._util.text import listing
from fastunet.errors import OptionError, SplitError
from fastunet.pairs.file_names import nfc, stem_of
from fastunet.pairs.pair import Pair

Groups = str | re.Pattern[str] | Callable[[Pair], str]

# A group's name, and what counts its members.
_COORDINATES = re.compile(
    r"^(.*?)[_\-. ](?:x|col|c)_?\d+[_\-. ]?(?:y|row|r)_?\d+$"
    r"|^(.*?)[_\-. ](?:y|row|r)_?\d+[_\-. ]?(?:x|col|c)_?\d+$",
    re.IGNORECASE,
)
_TWO_NUMBERS = re.compile(r"^(.*)[_\-. ](\d+)[_\-. ](\d+)$")
_WORDED = re.compile(r"^(.*?)[_\-. ](?:frame|slice|view|tile|patch)[_\-. ]?\d+$", re.IGNORECASE)
_NUMBER = re.compile(
    r"^(.*?)[_\-. ](?:frame|slice|view|tile|patch|[fsvtpz])?[_\-. ]?\d+$", re.IGNORECASE
)
_DATE = re.compile(r"^(?:19|20)\d\d(?:[_\-. ]?\d\d)?$")  # a year, a month

_LAST_WORD = re.compile(r"[_\-. ][A-Za-z][^_\-. ]*\Z")

# Words that say what files are for, not what they show.
_ROLES = re.compile(
    r"^(?:train(?:ing)?|val(?:id(?:ation)?)?|test(?:ing)?|images?|imgs?|jpegimages|data|"
    r"(?:fold|split|part|batch|class)[_\- ]?\d*)$",
    re.IGNORECASE,
)


def propose_groups(pairs: Sequence[Pair]) -> dict[Pair, str] | None:  # the group of each pair
    """The groups that file names or sub-folders show; None where they show none.

    `0cdf5b5d0ce1_01` and `0cdf5b5d0ce1_02` are views of one car, `seq2_f00012` is a frame of
    seq2, `scene12_x3_y4` a tile of scene12, `patient07_slice12` of patient07. Hashes, plain
    counters and words (`img_001`, `cat_12`) are no groups. There must be two groups at least, of
    two pairs or more on average, and most of them of two or more.
    """
    names = relative_names(pair.image for pair in pairs)
    paths = [PurePosixPath(names[pair.image]) for pair in pairs]
    stems = _without_common_ending([path.stem for path in paths])
    folders = ["/".join(p for p in path.parts[:-1] if not _ROLES.match(p)) for path in paths]

    by_name, by_folder = _by_name(stems), _by_folder(folders, stems)
    if by_name and by_folder and len({*zip(by_name, folders, strict=True)}) > len({*by_name}):
        by_name = None  # scan1 of patient A is not scan1 of patient B
    found = by_name or by_folder
    return dict(zip(pairs, found, strict=True)) if found else None


def with_groups(
    pairs: Sequence[Pair],
    groups: Groups | None,  # None: those that the pairs have
) -> list[Pair]:
    """The pairs, each marked with its group: "auto", by an expression or by a function.

    Raises `SplitError` where "auto" finds none, or an expression does not match a file's stem;
    `OptionError` where the expression is not one.
    """
    if groups is None:
        return list(pairs)
    if groups == "auto":
        proposed = propose_groups(pairs)
        if proposed is None:
            shown = listing([pair.image.name for pair in pairs], 3)
            raise SplitError(
                f"The names of the {len(pairs)} images ({shown}) show no groups. Pass groups= as "
                "an expression or a function that names the group of a pair, or leave it out."
            )
        groups = proposed.__getitem__
    group_of = groups if callable(groups) else _by_expression(groups)
    return [replace(pair, group=str(group_of(pair))) for pair in pairs]


def relative_names(files: Iterable[Path]) -> dict[Path, str]:  # "train/images/01.png"
    """Each file's path below the folder that all have in common, the same on every machine.

    Raises `SplitError` where two files have one such name.
    """
    files = list(files)
    full = [os.path.abspath(file) for file in files]  # noqa: PTH100, links are not followed
    try:
        root = os.path.commonpath({os.path.dirname(file) for file in full}) if full else ""  # noqa: PTH120
    except ValueError as error:
        raise SplitError(
            f"The images lie on different drives ({listing(files[:1] + files[-1:])}); one folder "
            "that holds them all was expected."
        ) from error
    of_name: dict[str, str] = {}
    names = {}
    for file, path in zip(files, full, strict=True):
        name = nfc(Path(path).relative_to(root).as_posix())
        if (first := of_name.setdefault(name, path)) != path:
            raise SplitError(
                "Two images have one name, which is written in two ways: "
                f"{listing([first, path])}. Rename one of them, or take it out."
            )
        names[file] = name
    return names


def _by_expression(groups: str | re.Pattern[str]) -> Callable[[Pair], str]:
    try:
        expression = re.compile(groups)
    except re.error as error:
        raise OptionError(f"groups={groups!r} is no regular expression: {error}.") from error
    named = list(expression.groupindex)
    if expression.groups != 1 and len(named) != 1:
        raise OptionError(
            f"groups={expression.pattern!r} has {expression.groups} groups; one in parentheses, "
            "which names the group of a file, was expected: r'(patient\\d+)_'."
        )

    def group_of(pair: Pair) -> str:
        match = expression.search(stem_of(pair.image.name))
        if match and (group := match[named[0] if named else 1]):
            return group
        raise SplitError(
            f"{pair.image} does not match groups={expression.pattern!r}, so it has no group. "
            "Change the expression, or pass a function."
        )

    return group_of


# --- proposals ----------------------------------------------------------------------------------


def _by_name(stems: Sequence[str]) -> list[str] | None:
    if coordinates := _heads(_COORDINATES, stems):
        return _accepted(coordinates)
    if scenes := _heads(_TWO_NUMBERS, stems):
        if _are_offsets(stems):
            return _accepted(scenes)
        if all(map(_is_id, scenes)) and (accepted := _accepted(scenes)):
            return accepted
    if worded := _heads(_WORDED, stems):
        return _accepted(worded)
    return _accepted([_before_number(stem) for stem in stems])


def _before_number(stem: str) -> str:
    """What stands before the number at the end, if it names one thing; else all of the stem."""
    match = _NUMBER.match(stem)
    return match[1] if match and _is_id(match[1]) else stem


def _heads(expression: re.Pattern[str], stems: Sequence[str]) -> list[str] | None:
    """What stands before the expression's numbers; None where a name has no such numbers."""
    matches = [match for stem in stems if (match := expression.match(stem))]
    if len(matches) < len(stems):
        return None
    return [next((g for g in match.groups() if g is not None), "") for match in matches]


def _accepted(heads: Sequence[str]) -> list[str] | None:
    """The heads, if they make groups: two or more, all named, most of them of several pairs."""
    sizes = Counter(heads)
    several = sum(size >= 2 for size in sizes.values())
    named = all(head and not _ROLES.match(head) for head in sizes)
    good = named and 2 <= len(sizes) <= len(heads) / 2 and several > len(sizes) / 2
    return list(heads) if good else None


def _is_id(head: str) -> bool:
    """Whether it names one thing: `seq2` and `0cdf5b5d` do; `cat`, a kind, and years do not."""
    return any(c.isdigit() for c in head) and not _DATE.match(head)


def _are_offsets(stems: Sequence[str]) -> bool:
    """Whether the last two numbers count pixels by a tile's size: 0, 256, 512."""
    matches = filter(None, map(_TWO_NUMBERS.match, stems))
    return math.gcd(*(int(match[i]) for match in matches for i in (2, 3))) >= 16


def _by_folder(folders: Sequence[str], stems: Sequence[str]) -> list[str] | None:
    """Folders that are a video or patient each: all are numbered, or their files have equal names.

    Folders of words whose files have names of their own are more likely classes or sites.
    """
    count_anew = len(set(stems)) <= len(stems) / 2
    return _accepted(folders) if count_anew or all(map(_is_id, folders)) else None


def _without_common_ending(stems: Sequence[str]) -> list[str]:
    """Stems without the words that all of them end in: `001_image`, `aachen_000_leftImg8bit`."""
    while stems:
        words = {found[0][1:] if (found := _LAST_WORD.search(stem)) else "" for stem in stems}
        if len(words) > 1 or "" in words:
            break
        ending = words.pop()
        stems = [stem[: -len(ending) - 1] for stem in stems]
    return list(stems)
