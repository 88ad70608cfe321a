"""The file of a bundle's weights: its header is checked before the tensors are read.

The format is that of safetensors (https://github.com/huggingface/safetensors): the length of a
JSON, the JSON, and the tensors. The JSON says the type, the shape and the place of each tensor.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, TypeGuard

import psutil
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from fastunet._util.files import opened
from fastunet._util.terminal import is_printable, shown
from fastunet.errors import BundleError

_LENGTH = 8  # bytes that say how long the header is
_MAX_HEADER = 8_000_000  # bytes, for 50,000 tensors and more
_MAX_SIDES, _MAX_NUMBERS = 8, 2**50  # of a tensor
_COPIES = 2  # of the weights, which are held for a moment: as read, and as tensors
_TYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}

Header = dict[str, Tensor]  # on the meta device: shapes and types, and no numbers


@dataclass(frozen=True)
class WeightsFile:
    """What a bundle says of its file of weights."""

    file: str  # its name, in the bundle's folder
    bytes: int  # its size
    sha256: str  # of its content


def weights_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """A state dict as the content of such a file."""
    return save_tensors({name: t.detach().cpu().contiguous() for name, t in weights.items()})


def read_weights(
    folder: Path,  # the bundle's
    expected: WeightsFile,
    check: Callable[[Header], None],  # raises where the tensors do not fit
) -> dict[str, Tensor]:
    """The tensors of a file. Its size and its header are checked before they are read.

    Raises `BundleError` where the file is missing, is not the one that was saved, or does not fit
    into the memory that is free.
    """
    path, size = folder / expected.file, expected.bytes
    with opened(path, BundleError) as (file, found):
        if found != size:
            raise BundleError(
                f"{path} is {found:,} bytes where {size:,} were written: it is cut short or from "
                "another bundle. Copy the bundle again."
            )
        check(_read_header(file, size, path))
        _check_memory(size, path)
        file.seek(0)
        data = file.read(size)
    if hashlib.sha256(data).hexdigest() != expected.sha256:
        raise BundleError(
            f"{path} was changed since it was saved (its SHA-256 differs). Copy the bundle again."
        )
    try:
        return load_tensors(data)
    except SafetensorError as error:
        raise _damaged(path, str(error)) from error


def _read_header(file: BinaryIO, size: int, path: Path) -> Header:
    length = int.from_bytes(file.read(_LENGTH), "little")
    if not 2 <= length <= min(size - _LENGTH, _MAX_HEADER):
        raise _damaged(path, f"its header would have {length:,} bytes")
    try:
        entries = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise _damaged(path, "its header is not a JSON object")
    entries.pop("__metadata__", None)
    room = size - _LENGTH - length
    for name, entry in entries.items():
        if not (is_printable(name) and _is_entry(entry, room)):
            raise _damaged(path, f"its entry {shown(name)} is {shown(entry)}")
    return {
        name: torch.empty(entry["shape"], dtype=_TYPES[entry["dtype"]], device="meta")
        for name, entry in entries.items()
    }


def _is_entry(entry: object, room: int) -> bool:
    """Whether it describes a tensor that lies within so many bytes."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return False
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not (isinstance(kind, str) and kind in _TYPES):
        return False
    sides = _are_whole(shape) and len(shape) <= _MAX_SIDES
    if not (sides and _are_whole(offsets) and len(offsets) == 2):
        return False
    if prod(max(1, side) for side in shape) > _MAX_NUMBERS:  # also of one without any number
        return False
    start, end = offsets
    return start <= end <= room and prod(shape) * _TYPES[kind].itemsize == end - start


def _are_whole(values: object) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value <= _MAX_NUMBERS for value in values
    )


def _check_memory(size: int, path: Path) -> None:
    free = psutil.virtual_memory().available
    if _COPIES * size > free:
        raise BundleError(
            f"{path}: loading it needs about {_COPIES * size / 1e9:,.1f} GB of memory; "
            f"{free / 1e9:,.1f} GB are free. Close other programs, or take a machine with more."
        )


def _damaged(path: Path, problem: str) -> BundleError:
    return BundleError(
        f"{path} is not a safetensors file, or it is damaged ({problem}). Copy the bundle again."
    )
