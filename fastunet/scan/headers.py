"""What the outside of a file tells: whether it is there, and comes to its end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


_STRIPS, _STRIP_LENGTHS, _TILES, _TILE_LENGTHS = 273, 279, 324, 325  # tags of a TIFF


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file cannot be used."""

    kind: Literal["empty-file", "truncated", "unreadable", "not-a-mask", "size-mismatch"]
    file: Path
    reason: str


def file_fault(file: Path) -> Fault | None:
    """Whether a file is missing or empty, without a look inside."""
    try:
        if file.stat().st_size == 0:
            return Fault("empty-file", file, "the file is empty")
    except OSError as error:
        return Fault("unreadable", file, f"cannot be opened ({error.strerror})")
    return None


def cut_short(
    file: Path,
    by_header: bool = False,  # decode nothing, which finds JPEG, PNG and TIFF only
) -> Fault | None:
    """Whether the end of a file is missing: decoders fill what is missing with grey, silently."""
    with file.open("rb") as stream:
        head = stream.read(8)
        stream.seek(max(0, file.stat().st_size - 64))
        tail = stream.read()
    jpeg, png = head.startswith(b"\xff\xd8"), head.startswith(b"\x89PNG")
    if file.suffix.lower() == ".npy" or (jpeg and b"\xff\xd9" in tail) or (png and b"IEND" in tail):
        return None
    from PIL import Image, UnidentifiedImageError

    if by_header and not (jpeg or png):
        return _without_strips(file) if head[:4] in _TIFF else None
    try:
        with Image.open(file) as picture:
            picture.load()
    except UnidentifiedImageError:
        return None  # the decoder says what is wrong with it
    except (OSError, SyntaxError, ValueError) as error:
        if jpeg or png or "truncated" in str(error):
            return Fault("truncated", file, f"the file ends early ({error})")
    return None


def _without_strips(file: Path) -> Fault | None:
    """Whether a TIFF speaks of pixels that lie behind its end."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            tags = picture.tag_v2
            starts = tags.get(_STRIPS) or tags.get(_TILES) or ()
            lengths = tags.get(_STRIP_LENGTHS) or tags.get(_TILE_LENGTHS) or ()
    except (OSError, SyntaxError, ValueError, AttributeError):
        return None  # the decoder says what is wrong with it
    end = max(map(sum, zip(starts, lengths, strict=False)), default=0)
    size = file.stat().st_size
    if end <= size:
        return None
    return Fault("truncated", file, f"the file ends early ({size} of {end} bytes)")
