"""Pairs from a table: a CSV or TSV file or a DataFrame with a row for each image."""

import codecs
import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastunet._util.text import listing
from fastunet._util.warn import warn
from fastunet.errors import OptionError, PairingError
from fastunet.io.extensions import is_image
from fastunet.pairs.file_names import as_on_disk, split_named
from fastunet.pairs.pair import Pair, PairList, Split

if TYPE_CHECKING:
    import pandas as pd

_ALIASES = {
    "image": (
        *("image", "images", "image_path", "image_file", "image_filename", "img", "img_path"),
        *("filename", "file_name", "file", "fname", "path", "input", "x"),
    ),
    "mask": (
        *("mask", "masks", "mask_path", "mask_file", "mask_filename", "label", "labels"),
        *("label_path", "annotation", "annotation_path", "segmentation", "gt", "target", "y"),
    ),
    "split": ("split",),
    "group": ("group", "groups", "patient", "patient_id", "subject", "video", "scene"),
}
Cells = dict[str, list[str]]  # of each column, as text
Possible = frozenset[Split]  # the parts that a row may be in

# columns that say True of a part, as fastai's is_valid does; of the others False
_FLAGS: dict[str, Split] = {
    **dict.fromkeys(("is_valid", "valid", "is_val", "val", "is_validation", "validation"), "valid"),
    **dict.fromkeys(("is_train", "train", "is_training", "training"), "train"),
    **dict.fromkeys(("is_test", "test", "is_holdout", "holdout"), "test"),
}
_ANY: Possible = frozenset(("train", "valid", "test"))
_TAKEN: dict[Possible, Split] = {  # where a column says only what a row is not
    _ANY - {"valid"}: "train",
    _ANY - {"train"}: "valid",
}
_TRUE = ("true", "1", "1.0", "yes", "y", "t")
_FALSE = ("false", "0", "0.0", "no", "n", "f")
_DECORATION = re.compile(r"[-_ ]?(?:set|split|data|part)$|^(?:set|split|part)[-_ ]")
_SPLIT_NAME = re.compile(r"split|fold|subset|partition|phase|stage|usage|^set$|^part$")


def pairs_from_table(
    table: "str | os.PathLike | pd.DataFrame",  # a .csv or .tsv file, or a DataFrame
    root: str | os.PathLike | None = None,  # of relative paths; None: the table's folder, or "."
    image: str = "image",  # column of image files
    mask: str = "mask",  # column of mask files
    split: str = "split",  # column of train, val or test, or is_valid with 1 or 0; if there is none
    # of that name, one that says the same is taken
    group: str = "group",  # column of what must stay in one part; may be missing
    missing_ok: bool = False,  # files need not exist, for `skip_bad` to leave their pairs out
) -> PairList:
    """The pairs that a table lists, in its order.

    Column names are compared without case; `image_path`, `filename`, `label` and the like stand in
    for the defaults. Rows with an empty mask are left out and counted as unpaired.

    Raises `PairingError` where a column or a file is missing, a split has an unknown name, or an
    image is listed twice.
    """
    asked = {"image": image, "mask": mask, "split": split, "group": group}
    for meaning, column in asked.items():
        if not isinstance(column, str | os.PathLike):
            raise OptionError(f"{meaning}={column!r}: the name of a column was expected.")
    cells, name, folder = _read(table)
    folder = Path(root) if root is not None else folder
    of_images, of_masks, of_split, of_groups = (
        _column(list(cells), os.fspath(column), meaning, name) for meaning, column in asked.items()
    )
    assert of_images is not None  # it is refused where it is missing
    assert of_masks is not None
    images, masks = cells[of_images], cells[of_masks]
    if not images:
        raise PairingError(f"{name} has no rows; one for each image was expected.")
    if blank := [row for row, text in enumerate(images, 1) if not text]:
        raise PairingError(f"{name} names no image in row {listing(blank)}. Fill {of_images!r}.")
    groups = cells[of_groups] if of_groups is not None else [""] * len(images)
    rest = {column: texts for column, texts in cells.items() if column not in (of_images, of_masks)}
    parts = _parts(rest, len(images), of_split, split != "split", name)
    pairs, unpaired = [], []
    for image_cell, mask_cell, part, of_group in zip(images, masks, parts, groups, strict=True):
        image_file = _file(folder, image_cell)
        if mask_cell:
            pairs.append(Pair(image_file, _file(folder, mask_cell), part, of_group))
        else:
            unpaired.append(image_file)
    if not pairs:
        raise PairingError(f"{name} names no mask in any row. Fill the column {of_masks!r}.")
    _check(pairs, name, folder, missing_ok)
    return PairList(pairs, "table", unpaired)


def _read(table: "str | os.PathLike | pd.DataFrame") -> tuple[Cells, str, Path]:
    """The table's cells, what to call it, and the folder that its paths start from."""
    if not isinstance(table, str | os.PathLike):
        frame = table.astype(object).where(table.notna(), "")
        return _by_column(frame.columns, frame.values.tolist()), "The table", Path()
    path = Path(table)
    if not path.is_file():
        raise PairingError(f"{path} is no file; a .csv or .tsv table was expected.")
    try:
        text = _text(path.read_bytes())
        first = text[: text.find("\n")]
        # spreadsheets of many countries write semicolons
        separator = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
        lines = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
        rows = [row for row in lines if any(cell.strip() for cell in row)]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise PairingError(f"{path} cannot be read as a table: {error}") from error
    if not rows:
        raise PairingError(f"{path} cannot be read as a table: it is empty.")
    header, *rows = rows
    width = len(header)
    long = [n for n, row in enumerate(rows, 1) if any(cell.strip() for cell in row[width:])]
    if long:
        raise PairingError(
            f"{path}: row {listing(long)} has more cells than the {width} columns of the first "
            "line. Is a comma missing there, or is one too many inside a name? Put such a name in "
            'quotes ("a, b.png").'
        )
    even = [(row + [""] * width)[:width] for row in rows]
    return _by_column(header, even), str(path), path.parent


def _by_column(header: Iterable[object], rows: Sequence[Sequence[object]]) -> Cells:
    """The cells as text; of columns of one name the first."""
    cells: Cells = {}
    for at, column in enumerate(header):
        cells.setdefault(str(column), [str(row[at]).strip() for row in rows])
    return cells


def _text(content: bytes) -> str:
    """Text as spreadsheets write it. A wrong guess shows as files that do not exist."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def _file(folder: Path, name: str) -> Path:
    """A file of the table; backslashes of Windows are slashes where no file is called so."""
    file = as_on_disk(folder / name)
    if "\\" in name and not file.exists():
        return as_on_disk(folder / name.replace("\\", "/"))
    return file


def _column(columns: Sequence[str], asked: str, meaning: str, table: str) -> str | None:
    """The column that is asked for, or one with another usual name for it."""
    by_name = {column.strip().lower(): column for column in reversed(columns)}
    names = [asked.lower(), *(_ALIASES[meaning] if asked == meaning else ())]
    found = next((by_name[name] for name in names if name in by_name), None)
    if found is not None or (asked == meaning and meaning in ("split", "group")):
        return found
    if any(map(is_image, columns)):
        raise PairingError(
            f"The first line of {table} ({listing(columns, 4)}) names files, not columns. Put a "
            "line image,mask above it."
        )
    raise PairingError(
        f"{table} has no column {asked!r}; its columns are {listing(columns, 20)}. Say which "
        f"one it is: {meaning}=... ({meaning}s=... of from_folder and find_pairs)."
    )


# --- the split -----------------------------------------------------------------------------------


def _parts(
    cells: Cells,
    rows: int,
    named: str | None,  # the column of the split
    alone: bool,  # it was asked for by name: no other column is looked at
    table: str,
) -> list[Split]:
    """The part of each row, "" where no column tells.

    Raises `PairingError` where a column should tell and cannot be read, or two contradict each
    other. Warns of one that looks like a split and is not used.
    """
    columns = [] if named is None else [named]
    if not alone:
        columns += [column for column in cells if column != named and _tells(column, cells[column])]
    told = {column: _read_column(column, cells[column], table) for column in columns}
    for column, texts in cells.items():
        held = sorted(set(filter(None, texts)))
        looks_like_one = 1 < len(held) < rows and _SPLIT_NAME.search(column.strip().lower())
        if named is None and column not in told and looks_like_one:
            warn(
                f"{table}: the column {column!r} looks like a split, but is not used, since it "
                f"holds {listing(held, 5)}. To use it, write train, valid or test, or a column "
                "is_valid with 1 for what is validated on."
            )
    possible = [_ANY] * rows
    for column, said in told.items():
        possible = [one & other for one, other in zip(possible, said, strict=True)]
        if frozenset() in possible:
            raise PairingError(
                f"{table}: of row {possible.index(frozenset()) + 1} the column {column!r} says "
                f"something else than {listing([repr(one) for one in told if one != column], 3)}. "
                "Take one of them out, or name the one that holds: split=... of pairs_from_table."
            )
    return [next(iter(one)) if len(one) == 1 else _TAKEN.get(one, "") for one in possible]


def _tells(column: str, texts: Sequence[str]) -> bool:
    """Whether a column says which part a row is in, by its name or by all of its words."""
    words = set(filter(None, texts))
    parts = {_word(word) for word in words}
    return bool(words) and (
        column.strip().lower() in _FLAGS or (len(parts) > 1 and None not in parts)
    )


def _read_column(column: str, texts: Sequence[str], table: str) -> list[Possible]:
    """The parts that each cell leaves open. Raises `PairingError` where one cannot be read."""
    flag = _FLAGS.get(column.strip().lower())
    read = {"": _ANY}
    for text in filter(None, texts):
        if word := _word(text):
            read[text] = frozenset((word,))
        elif flag and text.lower() in _TRUE:
            read[text] = frozenset((flag,))
        elif flag and text.lower() in _FALSE:
            read[text] = _ANY - {flag}
    unknown = [text for text in dict.fromkeys(texts) if text not in read]
    found = f"{table} has {listing(unknown)} in the column {column!r}"
    if unknown and flag:
        raise PairingError(
            f"{found}, which says True of images of the {flag} part, and False of others. Rename "
            "it if it means something else."
        )
    if unknown and set(map(str.lower, unknown)) <= {*_TRUE, *_FALSE}:
        raise PairingError(
            f"{found}, and which of them are validated on cannot be known. Call the column "
            "is_valid if 1 (or True) are those, or is_train if they are trained on."
        )
    if unknown:
        raise PairingError(
            f"{table} has rows of split {listing(unknown)} in the column {column!r}; train, valid "
            "(or val) and test are known. Rename them, or pass split= with the name of another "
            "column."
        )
    return [read[text] for text in texts]


def _word(text: str) -> Split | None:
    """The part that `Train`, `val_set` or `test split` stands for."""
    return split_named(text) or split_named(_DECORATION.sub("", text.strip().lower()))


def _check(pairs: Sequence[Pair], table: str, folder: Path, missing_ok: bool) -> None:
    """Refuse files that are missing, and images that are listed twice."""
    for what, files in (("image", [p.image for p in pairs]), ("mask", [p.mask for p in pairs])):
        missing = [file for file in files if not file.is_file()]
        if missing and not missing_ok:
            raise PairingError(
                f"{table} lists {len(missing)} {what} files that do not exist: {listing(missing)}. "
                f"Relative paths start from {folder.absolute()}; pass root= for another folder. If "
                "these files are lost, skip_bad=True leaves their pairs out."
            )
    counts = Counter(pair.image for pair in pairs)
    if twice := [image for image, count in counts.items() for _ in range(count - 1)]:
        raise PairingError(f"{table} lists images more than once: {listing(twice)}. Keep one row.")
