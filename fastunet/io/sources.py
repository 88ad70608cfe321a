"""One picture, in whatever form a user holds it, as an (H, W, C) array."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeGuard, Union, cast

import numpy as np

from fastunet.errors import ImageReadError
from fastunet.io import tiff
from fastunet.io.channel_files import ChannelFiles
from fastunet.io.images import orientation_of, plain, read_image

if TYPE_CHECKING:
    import torch
    from PIL import Image

Source = Union[
    str, os.PathLike, ChannelFiles, bytes, BinaryIO, np.ndarray, "torch.Tensor", "Image.Image"
]

_FORMS = (
    "a path, the bytes of an image file, a PIL image, a tensor (C, H, W) or (H, W), or an array "
    "(H, W) or (H, W, C)"
)
_COLOURS = (1, 3, 4)  # channels of a picture that shows colours or grey


def as_image(
    source: Source,
) -> np.ndarray:  # (H, W, C)
    """The pixels of a picture, the same whichever form it comes in.

    - a path, or `ChannelFiles`, whose channels are stacked: as `read_image` reads them;
    - bytes, or a file that is open for reading: the content of such a file;
    - a PIL image of any mode: upright by its EXIF orientation, palettes as colours, CMYK as RGB,
      an alpha channel dropped, as in files;
    - a tensor: channels first, or last where only the last side can be channels;
    - an array, or what numpy makes one of: (H, W) or (H, W, C) in RGB order.

    Raises `ImageReadError` where it is none of these, or cannot be read.
    """
    if isinstance(source, str | os.PathLike | ChannelFiles):
        return read_image(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source))
    if _is_tensor(source):
        return _from_array(_from_tensor(source))
    if isinstance(source, np.ndarray):
        return _from_array(source)
    from PIL import Image

    if isinstance(source, Image.Image):
        return _from_array(_from_pillow(source))
    if callable(getattr(source, "read", None)):
        return _from_open_file(cast(BinaryIO, source))
    if hasattr(source, "__array__"):  # arrays of other libraries
        return _from_array(np.asarray(source))
    if isinstance(source, list | tuple):
        raise ImageReadError(
            f"{len(source)} images were given where one is expected. Of files that are the "
            "channels of one image, say so: channels=[...] in Segmenter.predict, or "
            "ChannelFiles([...])."
        )
    raise ImageReadError(f"{type(source).__name__} is no form of an image. Expected: {_FORMS}.")


def is_several(source: object) -> bool:
    """Whether it is a list, or anything else that images come out of one by one."""
    one = str | os.PathLike | ChannelFiles | bytes | bytearray | memoryview
    if isinstance(source, one) or _is_tensor(source) or hasattr(source, "read"):
        return False
    if getattr(getattr(source, "dtype", None), "kind", None) in ("b", "u", "i", "f"):
        return False  # an array of pixels; those of paths, a table's column, have other types
    return isinstance(source, Iterable)


def name_of(source: Source) -> str:
    """What to call a picture in a message."""
    if isinstance(source, ChannelFiles) and source:
        source = source[0]
    return str(source) if isinstance(source, str | os.PathLike) else "the image"


def turn_of(source: Source) -> int:
    """The EXIF orientation 1..8 by which `as_image` turned a picture; 1 where there is none."""
    if isinstance(source, str | os.PathLike | ChannelFiles):
        return orientation_of(source)
    if isinstance(source, bytes | bytearray | memoryview):
        with _as_file(bytes(source)) as file:
            return orientation_of(file)
    getexif = getattr(source, "getexif", None)  # of a PIL image
    turn = getexif().get(0x112, 1) if getexif else 1
    return turn if turn in range(1, 9) else 1


def stated_nodata(
    source: Source,
    dtype: np.dtype,  # of its pixels
) -> float | None:
    """The value by which a TIFF says that a pixel has no data; 8-bit files are not asked."""
    if isinstance(source, ChannelFiles) and source:
        source = source[0]
    if not isinstance(source, str | os.PathLike) or dtype == np.uint8:
        return None
    return tiff.nodata(Path(source))


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "buif":
        batch = " Of several images give a list." if array.ndim == 4 else ""
        raise ImageReadError(
            f"A {array.dtype} array of shape {array.shape} is not an image (H, W) or (H, W, C)."
            + batch
        )
    return plain(array)


def _is_tensor(source: object) -> "TypeGuard[torch.Tensor]":
    """Asked without loading PyTorch, which takes a second: no tensor is there before it is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def _from_tensor(tensor: "torch.Tensor") -> np.ndarray:
    """(H, W) or (H, W, C) of a tensor on any device; fastai's types included."""
    import torch

    values = tensor.detach().cpu().as_subclass(torch.Tensor)
    if values.dtype == torch.bfloat16:  # numpy has no such type
        values = values.float()
    if values.ndim == 4:
        raise ImageReadError(
            f"A tensor of shape {tuple(values.shape)} is a batch; give its images one by one, or "
            "as a list."
        )
    channels_last = values.ndim == 3 and (
        values.shape[2] in _COLOURS and values.shape[0] not in _COLOURS
    )
    if values.ndim == 3 and not channels_last:
        values = values.permute(1, 2, 0)
    return values.numpy()


def _from_pillow(image: "Image.Image") -> np.ndarray:
    """What `read_image` makes of the file that such an image is in."""
    from PIL import ImageOps

    n_pages = getattr(image, "n_frames", 1)
    if image.format == "TIFF" and n_pages > 1:
        raise ImageReadError(
            f"This PIL image is one of {n_pages} pages of a TIFF, whose pages are read as "
            "channels. Give the file's path, or of the one page image.copy()."
        )
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("1", "L", "F") or upright.mode.startswith("I;16"):
            pixels = np.array(upright)
            return ~pixels if _has_white_as_0(image) else pixels
        if upright.mode == "I":
            return _as_deep_as_it_is(np.array(upright), image.format)
        with_alpha = {"La": "LA", "RGBa": "RGBA", "P": "RGBA", "PA": "RGBA"}.get(upright.mode)
        if with_alpha:  # Pillow has no direct way to colours, or warns of transparency on it
            upright = upright.convert(with_alpha)
        return np.array(upright.convert("L" if upright.mode == "LA" else "RGB"))
    except (ValueError, OSError, AssertionError) as error:  # the last where its file was closed
        reason = str(error) or "its file is closed"
        raise ImageReadError(
            f"The PIL image of mode {image.mode} cannot be read: {reason}. Open it again, or "
            "convert it to RGB."
        ) from error


def _has_white_as_0(image: "Image.Image") -> bool:
    """Whether it is a TIFF of which Pillow leaves the grey levels inverted: all above 8 bits."""
    tags = getattr(image, "tag_v2", {})
    return tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_0 and image.mode.startswith("I;16")


def _as_deep_as_it_is(values: np.ndarray, format: str | None) -> np.ndarray:
    """16 bits, where Pillow used its 32-bit mode for a file of 16; a TIFF may have 32."""
    fits = values.min() >= 0 and values.max() <= np.iinfo(np.uint16).max
    return values.astype(np.uint16) if fits and format != "TIFF" else values


def _from_open_file(file: BinaryIO) -> np.ndarray:
    content = file.read()
    if not isinstance(content, bytes):
        raise ImageReadError("The file is open as text; open it with mode 'rb', or give its path.")
    return _from_bytes(content)


def _from_bytes(content: bytes) -> np.ndarray:
    """By way of a file, so that the same decoders read it."""
    if not content:
        raise ImageReadError("The image in memory holds no bytes.")
    with _as_file(content) as file:
        try:
            return read_image(file)
        except ImageReadError as error:
            said = str(error).replace(str(file), "The image in memory")
            raise ImageReadError(said) from error


@contextmanager
def _as_file(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fastunet-") as folder:
        file = Path(folder) / f"image{_suffix_of(content)}"
        file.write_bytes(content)
        yield file


def _suffix_of(content: bytes) -> str:
    """What decides between decoders: all others go by the content."""
    if content.startswith(b"\x93NUMPY"):
        return ".npy"
    tiff = content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return ".tif" if tiff else ".img"
