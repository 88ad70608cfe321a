"""Checkpoints on disk: whole or not there, closed by a checksum, read without executing anything.

A file is what `torch.save` writes of numbers, texts, tensors, lists and dicts, followed by the 32
bytes of its SHA-256. `torch.load(file, weights_only=True)` reads it too.
"""

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastunet._util.files import atomic_file, make_folder, opened
from fastunet._util.warn import warn
from fastunet.errors import OptionError, TrainingError
from fastunet.inference.bundle import Bundle
from fastunet.runs.contents import BEST, CHECKPOINT_FILES, CHECKPOINTS, state_of
from fastunet.runs.run_folder import stopped_run

FORMAT = 1
_DIGEST = hashlib.sha256().digest_size
_NUMBERS, _TENSORS = "list of numbers", "list of tensors"  # stored as one tensor


def file_name(
    fit: int,  # that it belongs to, from 0: `fine_tune` makes two
    epoch: int,  # that goes on
    batches: int,  # of that epoch which are done
) -> str:
    """Of a checkpoint; later ones have greater names."""
    return f"fit-{fit}-epoch-{epoch:04d}-batch-{batches:06d}.ckpt"


def files_in(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the oldest first."""
    return sorted(folder.glob(CHECKPOINT_FILES))


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    content = io.BytesIO()
    torch.save(packed({"format": FORMAT, **state}), content)
    make_folder(path.parent)
    with atomic_file(path, durable=False) as file:
        file.write(content.getbuffer())
        file.write(hashlib.sha256(content.getbuffer()).digest())


def read(path: Path) -> dict[str, Any]:
    """What `write` was given. Raises `TrainingError` where the file is not as it was written."""
    with opened(path, TrainingError) as (file, _):
        data = memoryview(file.read())
    content, digest = data[:-_DIGEST], data[-_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise TrainingError(f"{path} is cut short or was changed: its checksum differs.")
    state = unpacked(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    if state["format"] != FORMAT:
        raise TrainingError(f"{path} has format {state['format']}; {FORMAT} was expected.")
    return state


def newest(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint that is whole, if any. Damaged ones after it are removed."""
    for path in reversed(files_in(folder)):
        try:
            return read(path)
        except TrainingError as error:
            warn(f"{error} It is removed, and the checkpoint before it is taken.")
            path.unlink()
    return None


def bundle_of(
    run: Path,  # the folder of a run; one that goes on or was stopped will do
    epoch: int | None = None,  # as history.csv counts them; None: the best
) -> Bundle:
    """The model of a run after an epoch.

    Raises `OutputError` where there is no such run, `OptionError` where it has no checkpoint of
    that epoch, and `BundleError` where no epoch has ended yet.
    """
    if state_of(run)[0] == "finished":
        if epoch is not None:
            raise OptionError(
                f"epoch={epoch}: {run} is finished, and has the best epoch only. Leave epoch out."
            )
        return Bundle.load(run)
    work = stopped_run(run)
    best = Bundle.load(work / BEST)
    if epoch is None:
        return best
    path = work / CHECKPOINTS / file_name(0, epoch + 1, 0)
    if not path.exists():
        ends = [str(int(f.name[12:16]) - 1) for f in files_in(path.parent) if "-000000." in f.name]
        raise OptionError(f"epoch={epoch}: {run} has checkpoints of epoch {', '.join(ends)}.")
    state = read(path)
    metrics = {"split": "valid", "resolution": "network input", **state["scores"]}
    training = best.training | {"epoch": epoch}
    return replace(best, weights=state["model"], metrics=metrics, training=training)


# --- values that torch.load takes with weights_only=True ------------------------------------------


def packed(value: Any) -> Any:
    """A value of numbers, texts, tensors, lists and mappings, as few objects.

    A list of numbers becomes one tensor: a training has some for each of its batches. Tuples become
    lists. Raises `TrainingError` for anything else.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Tensor):
        return value.detach().as_subclass(Tensor)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {key: packed(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Iterable):
        return _packed_list(list(value))
    raise TrainingError(f"A checkpoint cannot hold a {type(value).__name__}: {value!r}.")


def _packed_list(items: list) -> Any:
    kinds = set(map(type, items))
    if kinds not in ({int}, {float}):
        items = [packed(one) for one in items]
        kinds = set(map(type, items))
    if kinds in ({int}, {float}):
        return {_NUMBERS: torch.tensor(items, dtype=torch.int64 if int in kinds else torch.double)}
    if kinds == {Tensor} and len({(one.dtype, one.device, one.shape) for one in items}) == 1:
        return {_TENSORS: torch.stack(items)} if items[0].ndim == 0 else items
    return items


def unpacked(value: Any) -> Any:
    """What was packed."""
    if isinstance(value, list):
        return [unpacked(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_NUMBERS}:
        return value[_NUMBERS].tolist()
    if value.keys() == {_TENSORS}:
        return list(value[_TENSORS])
    return {key: unpacked(one) for key, one in value.items()}
