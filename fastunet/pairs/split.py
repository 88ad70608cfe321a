"""Which pairs are trained on, validated on and tested on."""

import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path, PurePosixPath

from fastunet._util.files import write_atomically
from fastunet._util.text import listing, plural
from fastunet._util.warn import warn
from fastunet.errors import OptionError, SplitError
from fastunet.pairs.file_names import nfc
from fastunet.pairs.groups import Groups, relative_names, with_groups
from fastunet.pairs.pair import Pair, Split
from fastunet.pairs.stratify import Unit, deal

PARTS: tuple[Split, ...] = ("train", "valid", "test")
FORMAT = 1
_ONE_TO = {"valid": "one to validate on", "test": "one to test on"}
_SKIPPED = "skipped"  # the name in the file of what is in no part

Present = Mapping[Path, Collection[Hashable]]  # the classes that each mask holds


def split_pairs(
    pairs: Sequence[Pair],
    valid_pct: float = 0.2,  # share held out where there is no validation part
    seed: int = 42,
    test_pct: float = 0.0,  # share kept for the end where there is no test part
    present: Present | None = None,  # balances the classes between the parts
    groups: Groups | None = None,  # None: the pairs' own; "auto", an expression or a function
) -> dict[str, list[Pair]]:
    """The pairs by part, each marked with it. Parts that exist are kept; the rest is drawn.

    Pairs without a part, or a training part without a validation part, are split at random: the
    same way for the same names and seed, in whatever order they come and wherever they lie. What
    is drawn keeps groups whole; parts that exist are taken as they are.

    An expression is searched in the stem of the image; its parentheses hold the group's name.

    Raises `SplitError` where there are fewer images or groups than parts, `OptionError` for a
    share that is not possible.
    """
    shares = {"valid": valid_pct, "test": test_pct}
    for name, share in shares.items():
        if not isinstance(share, Real):
            raise OptionError(f"{name}_pct={share!r}; a number was expected, 0.2 for a fifth.")
    if not 0 < valid_pct < 1:
        raise OptionError(f"valid_pct={valid_pct}; a share between 0 and 1 was expected.")
    if not 0 <= test_pct < 1 - valid_pct:
        raise OptionError(
            f"test_pct={test_pct}, valid_pct={valid_pct}; shares that leave something to train on "
            "were expected."
        )
    parts: dict[str, list[Pair]] = {name: [] for name in PARTS}
    for pair in in_order(with_groups(pairs, groups)):
        parts[pair.split or "train"].append(pair)
    drawn = {name: share for name, share in shares.items() if share and not parts[name]}
    if drawn:
        pool = parts["train"]
        if len(pool) <= len(drawn):
            raise SplitError(
                f"{plural(len(pool), 'pair')} to train on; at least {len(drawn) + 1} are needed, "
                f"one to learn from and {' and '.join(_ONE_TO[name] for name in drawn)}."
            )
        dealt = _dealt(pool, _quotas(len(pool), drawn.values()), seed, present)
        parts |= dict(zip([*drawn, "train"], dealt, strict=True))
    elif not parts["train"]:
        raise SplitError("There is a validation part but no pair to train on.")
    return marked(parts)


def k_fold(
    pairs: Sequence[Pair],
    k: int = 5,  # folds
    fold: int = 0,  # the one to validate on, 0 to k-1
    seed: int = 42,
    present: Present | None = None,  # as in `split_pairs`
    groups: Groups | None = None,
) -> dict[str, list[Pair]]:
    """The pairs by part for one round of cross-validation, each marked with its part.

    Over all folds every pair is validated on once. Pairs of a test part stay there; a validation
    part that exists joins the folds. The folds are equally large, as far as groups allow.

    Raises `SplitError` where there are fewer images or groups than folds, `OptionError` for a
    number of folds, or of a fold, that is not possible.
    """
    if k < 2:
        raise OptionError(f"k={k}; 2 folds or more were expected.")
    if not 0 <= fold < k:
        raise OptionError(f"fold={fold}; a number from 0 to {k - 1} was expected.")
    ordered = in_order(with_groups(pairs, groups))
    test = [pair for pair in ordered if pair.split == "test"]
    pool = [pair for pair in ordered if pair.split != "test"]
    sizes = [len(pool) // k + (index < len(pool) % k) for index in range(k)]
    folds = _dealt(pool, sizes, seed, present)
    train = [pair for index, part in enumerate(folds) if index != fold for pair in part]
    return marked({"train": train, "valid": folds[fold], "test": test})


def save_split(
    parts: Mapping[str, Sequence[Pair]],  # as the other functions here return them
    path: str | os.PathLike,  # a .json file
    skipped: Sequence[Pair] = (),  # pairs in no part, since they could not be used
) -> Path:
    """Write which image is in which part, by paths below the folder that all have in common."""
    every = [*(pair for part in parts.values() for pair in part), *skipped]
    names = relative_names(pair.image for pair in every)
    document: dict[str, object] = {"format": FORMAT}
    listed: dict[str, Sequence[Pair]] = {part: parts.get(part, ()) for part in PARTS}
    if skipped:
        listed[_SKIPPED] = skipped
    for part, pairs in listed.items():
        document[part] = list(dict.fromkeys(names[pair.image] for pair in pairs))
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_atomically(Path(path), text.encode())
    return Path(path)


def load_split(
    pairs: Sequence[Pair],  # in any order; their folder may have moved
    path: str | os.PathLike,  # what `save_split` wrote
) -> dict[str, list[Pair]]:
    """The pairs by part, as they were saved and in that order, each marked with its part.

    Pairs that could not be used when the split was made are left out again, with a warning.

    Raises `SplitError` where the file is no split or names other images than the pairs have.
    """
    part_of = _read_split(Path(path))
    waiting: dict[str, list[Pair]] = defaultdict(list)
    names = relative_names(pair.image for pair in pairs)
    for pair in sorted(pairs, key=lambda pair: str(pair.mask)):
        waiting[names[pair.image]].append(pair)
    unlisted = sorted(waiting.keys() - part_of.keys())
    missing = sorted({n for n, part in part_of.items() if part != _SKIPPED} - waiting.keys())
    not_there = "Images that it lists and that are not there"
    if said := with_names({"Images that it does not list": unlisted, not_there: missing}):
        raise SplitError(f"{path} was made for other pairs. {said} Split again.")
    parts: dict[str, list[Pair]] = {name: [] for name in (*PARTS, _SKIPPED)}
    for name, part in part_of.items():
        parts[part] += waiting[name]
    if again := parts.pop(_SKIPPED):
        warn(
            f"{path} leaves out {len(again)} images that could not be used when it was made: "
            f"{listing([pair.image.name for pair in again], 3)}."
        )
    return marked(parts)


# --- drawing ------------------------------------------------------------------------------------


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs by file name, then by folder: the same order on every machine."""
    pairs = list(pairs)
    names = relative_names(pair.image for pair in pairs)
    return sorted(
        pairs, key=lambda p: (PurePosixPath(names[p.image]).name, names[p.image], p.mask.as_posix())
    )


def _dealt(
    pool: Sequence[Pair],  # in order
    quotas: Sequence[int],  # pairs of each part
    seed: int,
    present: Present | None,
) -> list[list[Pair]]:
    """Divide the pairs into as many parts as there are quotas; groups and images stay whole."""
    whole: dict[tuple[str, object], list[Pair]] = defaultdict(list)
    for pair in pool:
        whole[("group", pair.group) if pair.group else ("image", pair.image)].append(pair)
    if len(whole) < len(quotas):
        raise SplitError(_too_few(pool, len(whole), len(quotas)))
    unknown = [pair.mask for pair in pool if present is not None and pair.mask not in present]
    if unknown:
        raise SplitError(f"present= does not say which classes these hold: {listing(unknown)}.")
    blocks = list(whole.values())
    random.Random(seed).shuffle(blocks)
    units = []
    for block in blocks:
        held = [set(present[pair.mask]) for pair in block] if present else []
        units.append(Unit(len(block), Counter(kind for kinds in held for kind in kinds)))
    parts: list[list[Pair]] = [[] for _ in quotas]
    for block, part in zip(blocks, deal(units, quotas), strict=True):
        parts[part] += block
    return parts


def _too_few(pool: Sequence[Pair], units: int, needed: int) -> str:
    names = sorted({pair.group for pair in pool if pair.group})
    if names and units == 1:
        return (
            f"All {len(pool)} pairs are of one group ({names[0]}), which cannot be split without "
            "tearing it apart. Add pairs of other groups, or choose other groups=."
        )
    what = f"groups ({listing(names)})" if names else "images"
    return f"{units} {what} for {needed} parts; every part needs one at least."


def _quotas(total: int, shares: Iterable[float]) -> list[int]:
    """Pairs of each share, one at least; at the end the rest, one at least."""
    held_out = [max(1, round(share * total)) for share in shares]
    while sum(held_out) >= total:
        held_out[held_out.index(max(held_out))] -= 1
    return [*held_out, total - sum(held_out)]


def marked(parts: Mapping[str, Sequence[Pair]]) -> dict[str, list[Pair]]:
    """Every part, each of its pairs marked with it."""
    return {name: [replace(pair, split=name) for pair in parts[name]] for name in PARTS}


# --- files ----------------------------------------------------------------------------


def with_names(names: Mapping[str, Sequence[str]]) -> str:
    """What was found to be wrong, with the names of each kind that has some."""
    return " ".join(f"{what} ({len(n)}): {listing(n)}." for what, n in names.items() if n)


def _read_split(path: Path) -> dict[str, str]:
    """The part of each image."""
    try:
        document = json.loads(path.read_bytes())
        if document["format"] > FORMAT:
            raise SplitError(
                f"{path} has format {document['format']}, newer than this fastunet reads; upgrade "
                "it: pip install -U fastunet."
            )
        names = {part: document[part] for part in PARTS} | {_SKIPPED: document.get(_SKIPPED, ())}
        listed = [(nfc(str(name)), part) for part, some in names.items() for name in some]
    except OSError as error:
        raise SplitError(f"{path} could not be read: {error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SplitError(
            f"{path} is cut short or no split ({type(error).__name__}: {error}). Save it again "
            "with save_split."
        ) from error
    if twice := [name for name, count in Counter(n for n, _ in listed).items() if count > 1]:
        raise SplitError(f"{path} lists images more than once ({len(twice)}): {listing(twice)}.")
    return dict(listed)
