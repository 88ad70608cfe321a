"""The files of a training run: which a run writes, what stands in a folder, whether it is whole."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from fastunet._util.files import read_small
from fastunet._util.folders import remove_empty
from fastunet._util.lock import LOCK
from fastunet.choices import MOST_FOLDS
from fastunet.errors import OutputError

RUN_JSON = "run.json"  # says what the run is and whether it is finished; written first and last
BEST = "best"  # a bundle of the best epoch so far
CHECKPOINTS = "checkpoints"  # from which the run goes on where it is stopped
CHECKPOINT_FILES = "fit-*-epoch-*-batch-*.ckpt"
SPLIT = "split.json"
CHALLENGER = "challenger"  # a bundle of the new model where an old one was kept
PLAN = "plan.json"  # what was done, to be repeated
REASONS = "reasons.json"  # why what nobody had chosen is as it is
SKIPPED = "skipped.json"  # pairs that were left out, and why; there where some were
DIAGNOSES_JSON = "diagnoses.json"  # what went wrong in the training; there where something did
REPORT = "report.html"  # the page of the run
TENSORBOARD = "tensorboard"  # event files, where they were asked for
FOLDS_CSV = "folds.csv"  # each image's fold, and its score by a model that had not seen it
FOLDS = "folds"  # the models of a cross-validation, by the number of the fold
FOLD_DONE = "done.txt"  # in a fold's folder: it is trained
FORMAT = 1
MAX_JSON = 4_000_000  # bytes of a JSON that a run or a bundle writes; they have some thousands

BUNDLE_JSON = "bundle.json"
TEMPORARY = ".temporary"  # marks a folder beside a run that may be removed: `<out>.new` or `.old`
_HIDDEN = (LOCK, TEMPORARY, ".DS_Store", "Thumbs.db", "desktop.ini")
Owned = Mapping[str, Sequence[str]]  # the names that are a run's, by folder; "*" and "?" stand open
_BUNDLE = (BUNDLE_JSON, "model.safetensors", "model-????????.safetensors")
_EVALUATION = ("evaluation.json", "evaluation.png", "per_image.csv", "per_class.csv")
_FILES: dict[str, Sequence[str]] = {  # that a run writes
    "": (
        *(RUN_JSON, PLAN, REASONS, SPLIT, SKIPPED, *_BUNDLE),
        *("history.csv", "results.png", "lr_find.png", "command.txt", DIAGNOSES_JSON, REPORT),
        FOLDS_CSV,
    ),
    BEST: _BUNDLE,
    CHALLENGER: _BUNDLE,
    CHECKPOINTS: (CHECKPOINT_FILES,),
    "evaluation": _EVALUATION,
    TENSORBOARD: ("events.out.tfevents.*",),
}
for _number in range(1, MOST_FOLDS + 1):
    _fold = f"{FOLDS}/{_number}"
    _FILES |= {
        _fold: (FOLD_DONE,),
        f"{_fold}/{BEST}": _BUNDLE,
        f"{_fold}/{CHECKPOINTS}": (CHECKPOINT_FILES,),
    }


def fold_folder(index: int) -> str:
    """Where the model of a fold is, below the run's folder; the first index is 0."""
    return f"{FOLDS}/{index + 1}"


def unfinished(folder: Path) -> str:
    """What to tell of a run that is not finished, and where its best epoch is; "" otherwise."""
    record = record_of(folder)
    if record is None or record["status"] == "finished":
        return ""
    best = folder / BEST
    model = ", and it has no model yet"
    if (best / BUNDLE_JSON).is_file():
        model = f". Its best epoch so far is a model: {best}"
    return f"{folder} is a training run that is not finished: it goes on or was stopped{model}."


def split_of(
    bundle: Path,  # a bundle's folder, or its JSON
) -> Path | None:
    """The `split.json` of the run that made a bundle, also for its best epoch so far."""
    folder = bundle if bundle.is_dir() else bundle.parent
    places = [folder]
    if folder.resolve().name == BEST and record_of(folder.resolve().parent):
        places.append(folder.resolve().parent)
    return next((place / SPLIT for place in places if (place / SPLIT).is_file()), None)


# --- what stands in a folder --------------------------------------------------------------------

State = Literal["empty", "unfinished", "finished"]


def record_of(folder: Path) -> dict | None:
    """What `run.json` says, where it is one of ours."""
    document = _json(folder / RUN_JSON)
    ours = "fastunet" in document and document.get("status") in ("unfinished", "finished")
    return document if ours else None


def is_bundle(folder: Path) -> bool:
    """Whether its `bundle.json` is a bundle's; it may still be damaged."""
    document = _json(folder / BUNDLE_JSON)
    weights = document.get("weights")
    named = isinstance(weights, dict) and isinstance(weights.get("file"), str)
    return named and {"format", "architecture", "preprocess"} <= document.keys()


def _json(file: Path) -> dict:
    try:
        document = json.loads(read_small(file, MAX_JSON, OutputError))
    except (OutputError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def state_of(folder: Path) -> tuple[State, Owned]:
    """Whether a run stands there, and the names that are its own.

    A name alone shows nothing, since users too have a `history.csv`: it is a run's only beside the
    JSON of a run or of a bundle.
    """
    record = record_of(folder)
    if record is not None:
        return record["status"], _FILES
    if is_bundle(folder):
        older = (folder / "command.txt").is_file()  # a run by a fastunet that wrote no run.json
        return "finished", _FILES if older else {"": _BUNDLE}
    return "empty", {"": [f".{RUN_JSON}.*.partial"]}


def _files(folder: Path, below: str = "") -> Iterator[tuple[str, str]]:
    """Folder and name of each file, a link being a file; those of empty folders are ("x/y", "")."""
    empty = True
    for entry in sorted(os.scandir(folder / below), key=lambda entry: entry.name):
        empty = False
        if entry.is_dir(follow_symlinks=False):
            yield from _files(folder, f"{below}/{entry.name}".lstrip("/"))
        else:
            yield below, entry.name
    if empty and below:
        yield below, ""


def _owned(below: str, name: str, own: Owned) -> bool:
    if below not in own:
        return False
    patterns = (*own[below], *_HIDDEN)
    return not name or any(
        fnmatchcase(name, pattern) or fnmatchcase(name, f".{pattern}.*partial")
        for pattern in patterns
    )


def foreign_files(folder: Path, own: Owned) -> list[str]:
    """The files that are not a run's own, by their path below the folder."""
    return [
        f"{below}/{name}".strip("/")
        for below, name in _files(folder)
        if not _owned(below, name, own)
    ]


def remove_partial(folder: Path) -> None:
    """Remove the files of a run that a kill cut short before they had their names."""
    _, own = state_of(folder)
    for below, name in _files(folder):
        if name.endswith(".partial") and _owned(below, name, own):
            (folder / below / name).unlink()


def remove_own(folder: Path, keep: Sequence[str] = ()) -> list[str]:
    """Remove the files that are a run's own, last those that show it. Returns the other files."""
    _, own = state_of(folder)
    last = [("", name) for name in ("command.txt", BUNDLE_JSON, RUN_JSON, TEMPORARY)]
    files = [(below, name) for below, name in _files(folder) if _owned(below, name, own)]
    files.sort(key=lambda file: last.index(file) if file in last else -1)
    for below, name in files:
        if (below, name) in last:
            remove_empty([folder / below for below in own if below])
        if name and name not in keep:
            (folder / below / name).unlink(missing_ok=True)
    return [f"{below}/{name}".strip("/") for below, name in _files(folder) if name not in keep]
