"""A split as a user states it: names of images, pairs, a file, or a function."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from fastunet._util.text import listing
from fastunet._util.warn import warn
from fastunet.errors import SplitError
from fastunet.pairs.file_names import nfc, split_named
from fastunet.pairs.groups import relative_names
from fastunet.pairs.pair import Pair
from fastunet.pairs.split import PARTS, in_order, load_split, marked, with_names

Entry = str | os.PathLike | Pair | tuple[str | os.PathLike, str | os.PathLike]  # of a part
Names = str | os.PathLike | Iterable[Entry]  # a text file with a name per line, or the entries
Parts = Mapping[str, Sequence[Pair]]
StatedSplit = Mapping[str, Names] | Names | Callable[[Sequence[Pair]], Parts]

_Name = str | tuple[str, str]  # of an image, or the absolute paths of a pair
_UNKNOWN = "No image is called"
_AMBIGUOUS = "Several images are called; write more of their paths"


def split_as_stated(
    pairs: Sequence[Pair],
    split: StatedSplit,  # what `save_split` wrote, lists by part, the list of the validation part,
    # or a function of the pairs: one of fastai's splitters, or one that returns pairs by part
) -> dict[str, list[Pair]]:
    """The pairs by part, each marked with it.

    Lists hold images by stem, file name or path, or pairs; a .txt file has one name per line. Where
    the training part is listed too, pairs that no list names are left out with a warning.

    Raises `SplitError` where the split is in none of these forms, or does not fit the pairs.
    """
    if callable(split):
        return _by_function(pairs, split)
    if isinstance(split, Mapping):
        return _by_part(pairs, split)
    if isinstance(split, str | os.PathLike) and Path(split).suffix.lower() != ".txt":
        return load_split(pairs, split)
    if isinstance(split, str | os.PathLike | Iterable):
        return split_by_list(pairs, split)
    raise SplitError(
        f"split={split!r} is no split. A split.json, a dict of lists ('train', 'valid', 'test'), a "
        "list of the validation images, or a function of the pairs was expected."
    )


def split_by_list(
    pairs: Sequence[Pair],
    valid: Names,  # images by stem, file name or path; or a text file with one of them per line
    test: Names = (),
) -> dict[str, list[Pair]]:
    """The pairs by part, each marked with it: what is listed, and the rest to train on.

    Where `test` is empty, pairs of a test part stay there.

    Raises `SplitError` with the names that no image or several images have.
    """
    return _by_part(pairs, {"valid": valid, "test": test})


def _by_part(pairs: Sequence[Pair], stated: Mapping[str, Names]) -> dict[str, list[Pair]]:
    lists = {_part_of(name): names for name, names in stated.items()}
    if "valid" not in lists:
        raise SplitError(
            f"The split lists {listing(list(lists)) or 'nothing'}, and no validation part. Name "
            "its images: split={'valid': [...]}."
        )
    ordered = in_order(pairs)
    part_of = _listed(ordered, lists)
    parts: dict[str, list[Pair]] = {name: [] for name in PARTS}
    left_out, tested = [], "test" in part_of.values()
    for pair in ordered:
        part = part_of.get(pair)
        if part is None and pair.split == "test" and not tested:
            part = "test"
        if part is None and "train" in lists:
            left_out.append(pair)
        else:
            parts[part or "train"].append(pair)
    if left_out:
        warn(
            f"{len(left_out)} images are in no part of the split and are left out: "
            f"{listing([pair.image.name for pair in left_out])}."
        )
    return _without_empty(parts, "The lists leave")


def _part_of(name: object) -> str:
    part = split_named(name) if isinstance(name, str) else None
    if not part:
        raise SplitError(f"The split names a part {name!r}; train, valid and test are known.")
    return part


def _by_function(
    pairs: Sequence[Pair], function: Callable[[Sequence[Pair]], Parts]
) -> dict[str, list[Pair]]:
    try:
        made = function(pairs)
    except TypeError as error:  # a splitter of paths, such as fastai's GrandparentSplitter
        raise SplitError(
            f"The function given as split= fails on pairs ({error}). If it is made for paths, pass "
            "split=lambda pairs: function([pair.image for pair in pairs])."
        ) from error
    parts: dict[str, list[Pair]] = {}
    if isinstance(made, Mapping):
        parts = {_part_of(name): list(some) for name, some in made.items()}
    elif isinstance(made, Sequence) and 2 <= len(made) <= 3:  # as fastai's splitters: indices
        with suppress(TypeError, ValueError, IndexError):
            for name, indices in zip(PARTS, made, strict=False):
                parts[name] = [pairs[int(index)] for index in indices]
    if not all(isinstance(pair, Pair) for some in parts.values() for pair in some) or not parts:
        raise SplitError(
            f"The function given as split= returned {type(made).__name__}; a dict of pairs by part "
            "('train', 'valid', 'test'), or the indices of training and validation, was expected."
        )
    return _without_empty(parts, "The function given as split= leaves")


def _without_empty(parts: Mapping[str, list[Pair]], who: str) -> dict[str, list[Pair]]:
    """The parts, marked. Raises `SplitError` where there is nothing to train or validate on."""
    for name in ("train", "valid"):
        if not parts.get(name):
            raise SplitError(f"{who} the {name} part empty.")
    return marked({name: parts.get(name, []) for name in PARTS})


# --- names --------------------------------------------------------------------------------------


def _listed(pairs: Sequence[Pair], lists: Mapping[str, Names]) -> dict[Pair, str]:
    """The part that each pair is listed for."""
    meant = _by_every_name(pairs)
    part_of: dict[Pair, str] = {}
    for part, names in lists.items():
        wrong: dict[str, list[str]] = {_UNKNOWN: [], _AMBIGUOUS: []}
        twice: dict[str, str] = {}  # entry -> the other part
        for entry in _entries(names, part):
            shown = entry.image.name if isinstance(entry, Pair) else str(entry)
            found = next((meant[name] for name in _spelled(entry) if name in meant), [])
            if len({pair.image for pair in found}) == 1:
                for pair in found:
                    if (other := part_of.setdefault(pair, part)) != part:
                        twice[shown] = other
            else:
                wrong[_AMBIGUOUS if found else _UNKNOWN].append(shown)
        if said := with_names(wrong):
            raise SplitError(f"{part}: {said}")
        if twice:
            both = f"{next(iter(twice.values()))} and {part}"
            raise SplitError(f"In both {both} ({len(twice)}): {listing(sorted(twice))}.")
    return part_of


def _spelled(entry: Entry) -> Sequence[_Name]:
    """What an entry may be in `_by_every_name`; a whole path is meant before the end of another."""
    if not isinstance(entry, str | os.PathLike):
        return [_key(entry)]
    text = nfc(Path(entry).as_posix())
    return f"./{text}", text, _absolute(text)


def _by_every_name(pairs: Sequence[Pair]) -> dict[_Name, list[Pair]]:
    """Pairs by all that they may be called: the ends of paths, with and without suffix."""
    meant: dict[_Name, list[Pair]] = defaultdict(list)
    relative = relative_names(pair.image for pair in pairs)
    for pair in pairs:
        steps = PurePosixPath(relative[pair.image]).parts
        names: set[_Name] = {_key(pair), nfc(pair.image.as_posix()), _absolute(pair.image)}
        for start in range(len(steps)):
            end = PurePosixPath(*steps[start:])
            names |= {str(end), str(end.with_suffix(""))}
        whole = PurePosixPath(*steps)
        for name in names | {f"./{whole}", f"./{whole.with_suffix('')}"}:
            meant[name].append(pair)
    return meant


def _absolute(file: str | os.PathLike) -> str:
    return nfc(Path(os.path.abspath(file)).as_posix())  # noqa: PTH100, links stay


def _key(pair: Pair | tuple) -> tuple[str, str]:
    image, mask = (pair.image, pair.mask) if isinstance(pair, Pair) else pair
    return _absolute(image), _absolute(mask)


def _entries(names: Names, part: str) -> Sequence[Entry]:
    if isinstance(names, str | os.PathLike):
        return _lines(Path(names))
    entries = list(names) if isinstance(names, Iterable) else [names]
    for entry in entries:
        files = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry,)
        paths = all(isinstance(file, str | os.PathLike) for file in files)
        if not paths and not isinstance(entry, Pair):
            raise SplitError(
                f"{part}: {entry!r} names no image; a stem, a file name, a path or a pair was "
                "expected."
            )
    return entries


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SplitError(
            f"{file} could not be read as a list ({error}). A text file with one name per line, or "
            "a list of names, was expected."
        ) from error
    return [line.strip() for line in lines if line.strip()]
