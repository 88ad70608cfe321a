"""Names of files and folders: how they are compared, and which part of the data they name."""

import unicodedata
from functools import lru_cache
from pathlib import Path

from fastunet.pairs.pair import Split

_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "tr", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "vld", "dev", "development"), "valid"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "hold-out", "held-out"), "test"),
}


def split_named(name: str) -> Split | None:
    """The part that a folder or a cell of a table names: `Val` is "valid"."""
    return _SPLITS.get(name.strip().lower())


def nfc(name: str) -> str:
    """A name in Unicode form NFC, in which names are compared: `ü` is one character.

    macOS and some archives write it as two, `u` and a mark, which look the same.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def stem_of(name: str) -> str:
    """The name without its extension, in Unicode form NFC."""
    return nfc(name[: name.rindex(".")])


def as_on_disk(path: Path) -> Path:
    """The path in the Unicode form in which the file system has it."""
    if str(path).isascii() or path.exists():
        return path
    here = Path(path.anchor)
    for step in path.parts[len(here.parts) :]:
        if not step.isascii() and not (here / step).exists() and here.is_dir():
            step = _names_on_disk(here, here.stat().st_mtime_ns).get(nfc(step), step)
        here /= step
    return here


@lru_cache(maxsize=64)
def _names_on_disk(folder: Path, changed: int) -> dict[str, str]:
    """The names in a folder by their NFC form; `changed` keeps an older list from being used."""
    return {nfc(entry.name): entry.name for entry in folder.iterdir()}
