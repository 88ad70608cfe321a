"""Any image file as an upright (H, W, C) array."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastunet._util.text import sizes_differ
from fastunet.errors import ImageReadError, SizeMismatchError
from fastunet.io import tiff
from fastunet.io.channels import channels_last, plain
from fastunet.io.extensions import TIFF

try:
    import cv2
except ImportError as error:  # opencv-python without libGL, or a broken install
    raise ImportError(
        f"OpenCV does not import ({error}). On a machine without a screen, "
        "`pip install --force-reinstall opencv-python-headless` mends it."
    ) from error


Files = str | os.PathLike | Sequence[str | os.PathLike]  # one file, or one per channel group

MAX_PIXELS = 2**30  # OpenCV's own limit


def read_image(
    path: Files,  # PNG, JPEG, TIFF, BMP, WebP, GIF, ... or .npy; several: channels are stacked
    upright: bool = True,  # apply the EXIF orientation; False: pixels as they are stored
) -> np.ndarray:  # (H, W, C): C is 1 for grey, 3 for RGB, more for many-band TIFF and .npy
    """Decode an image. Depth is kept (8, 16 bit, float); an alpha channel is dropped.

    CMYK becomes RGB, and grey in which white is 0 the other way round.

    Pages of one size in a grey TIFF are its channels. An .npy file may hold its channels first.

    Raises `ImageReadError` naming the file where it is missing, cut short, too large or no image,
    `SizeMismatchError` where several files differ in size.
    """
    if not isinstance(path, str | os.PathLike):
        return _stacked([Path(part) for part in path], upright)
    path = Path(path)
    try:
        n_bytes = path.stat().st_size
        image = _decode(path, upright) if n_bytes else None
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be opened ({error.strerror or error}).") from error
    if image is None:
        raise ImageReadError(_why_not(path, n_bytes))
    if image.ndim not in (2, 3) or image.dtype.kind not in "buif" or 0 in image.shape:
        raise ImageReadError(
            f"{path}: a {image.dtype} array of shape {image.shape} is not an image (H, W[, C])."
        )
    return plain(image)


def _decode(path: Path, upright: bool) -> np.ndarray | None:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return channels_last(read_npy(path))
    if suffix not in TIFF or not (pages := tiff.pages(path)):
        return _by_opencv(path, upright)
    image = _read_tiff(path, pages)
    if image is None or upright:
        return image
    return as_stored(image, pages[0].orientation)  # its decoders turn it in any case


def _by_opencv(path: Path, upright: bool, keep: int = 0) -> np.ndarray | None:
    """`keep` flags beside the depth; without any, the colours as OpenCV understands them."""
    flags = keep or (cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if not upright:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), flags)
    except cv2.error:  # larger than OpenCV decodes
        return None
    if image is None or image.ndim == 2:
        return image
    return cv2.cvtColor(image, _TO_RGB[image.shape[2]])


_TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}


def _read_tiff(path: Path, pages: Sequence[tiff.Page]) -> np.ndarray | None:
    """Every band but alpha. OpenCV leaves out some without a word, and darkens RGB by its alpha."""
    page = pages[0]
    if page.height * page.width > MAX_PIXELS:
        return None
    if len(pages) > 1:
        bands = _pages_by_opencv(path)
        if len(bands) == len(pages):
            return _without_white_0(np.stack(bands, axis=-1), page)
    elif page.suits_opencv:
        image = _by_opencv(path, True, cv2.IMREAD_UNCHANGED if page.bands == 4 else 0)
        if image is not None:
            return _without_white_0(image, page)
    if page.suits_pillow and (page.alpha or page.recoded):
        image = _colours_by_pillow(path)
        if image is not None:
            return image
    image = tiff.as_seen(tiff.read_bands(path), page)
    return upright_from(image[..., :-1] if page.alpha else image, page.orientation)


def _without_white_0(image: np.ndarray, page: tiff.Page) -> np.ndarray:
    """OpenCV does so by itself in 8-bit files only."""
    return image if image.dtype == np.uint8 else tiff.as_seen(image, page)


def _pages_by_opencv(path: Path) -> Sequence[np.ndarray]:
    try:
        return cv2.imdecodemulti(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)[1]
    except cv2.error:
        return []


def _colours_by_pillow(path: Path) -> np.ndarray | None:
    try:
        with open_lazily(path) as file:
            return np.array(file.convert("L" if file.mode in ("1", "L", "La", "LA") else "RGB"))
    except Exception:  # of any type, where a file is damaged
        return None


def upright_from(image: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels as stored, (H, W[, C]), turned by the EXIF orientation 1..8."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return np.flip(image, flips)


def as_stored(image: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `upright_from`."""
    return upright_from(image, {6: 8, 8: 6}.get(orientation, orientation))


def orientation_of(path: Files) -> int:
    """The EXIF orientation 1..8 of a file, by its header; of several, that of the first."""
    if not isinstance(path, str | os.PathLike):
        return orientation_of(path[0]) if path else 1
    path = Path(path)
    if path.suffix.lower() in TIFF and (pages := tiff.pages(path)):
        return pages[0].orientation
    header = _header(path)
    return header[1] if header else 1


# Python 3.11 fails now and then where several threads parse such headers at once ("AST constructor
# recursion depth mismatch", python/cpython#106905).
_PARSING = threading.Lock()


def read_npy(path: Path, lazily: bool = False) -> np.ndarray:
    """An array as it is; `lazily` maps the file instead of reading it."""
    try:
        with _PARSING:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it holds several arrays, as an .npz file does")
        return array if lazily else np.array(array)
    except OSError:
        raise
    except Exception as error:  # of any type, where the header is damaged
        raise ImageReadError(
            f"{path}: not an array that can be loaded safely ({error})."
        ) from error


def _stacked(paths: Sequence[Path], upright: bool) -> np.ndarray:
    if not paths:
        raise ImageReadError("An empty list of files is not an image.")
    images = [read_image(path, upright) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            differ = sizes_differ(paths[0], images[0].shape, path, image.shape)
            raise SizeMismatchError(
                f"{differ} Channels of one image must have one size; export them again."
            )
    return np.concatenate(images, axis=2)


def _why_not(path: Path, n_bytes: int) -> str:
    try:
        (height, width), _ = _header_sizes(path) or ((0, 0), (0, 0))
    except ImageReadError:
        height = width = 0
    if height * width > MAX_PIXELS:
        return too_large(path, height, width)
    return (
        f"{path}: cannot be decoded ({n_bytes:,} bytes). It is cut short or not an image; "
        "replace it or take it out of the folder."
    )


def too_large(path: Path, height: int, width: int) -> str:
    """What to say of an image above `MAX_PIXELS`."""
    return (
        f"{path}: {width}x{height} pixels are {height * width / 1e6:,.0f} million; up to "
        f"{MAX_PIXELS / 1e6:,.0f} million can be decoded. Cut the image, and its mask alike, into "
        "parts."
    )


def image_sizes(
    path: str | os.PathLike,
) -> tuple[tuple[int, int], tuple[int, int]]:  # (H, W) upright by EXIF, (H, W) as stored
    """The size of an image from its header, without decoding the pixels.

    Raises `ImageReadError` where the file is missing, empty or without a header that can be read.
    """
    path = Path(path)
    sizes = _header_sizes(path)
    if sizes is None:  # a format that only OpenCV knows, or no image: it says so
        upright = read_image(path).shape[:2]
        return upright, upright
    return sizes


def _header_sizes(path: Path) -> tuple[tuple[int, int], tuple[int, int]] | None:
    if path.suffix.lower() == ".npy":
        if not path.is_file() or not path.stat().st_size:
            return None
        height, width = channels_last(read_npy(path, lazily=True)).shape[:2]
        return (height, width), (height, width)
    if pages := tiff.pages(path):
        stored, turn = (pages[0].height, pages[0].width), pages[0].orientation
    elif header := _header(path):
        stored, turn = header
    else:
        return None
    return (stored[::-1] if turn in (5, 6, 7, 8) else stored), stored


def _header(path: Path) -> tuple[tuple[int, int], int] | None:
    """(height, width) as stored and the EXIF orientation of a file that Pillow knows."""
    try:
        with open_lazily(path) as file:
            width, height = file.size
            # PNG looks for its EXIF block behind the pixels and decodes them on the way
            turn = file.getexif().get(0x112) if file.format != "PNG" else _png_orientation(file)
    except Exception:  # of any type, where a file is damaged
        return None
    return (height, width), turn if turn in range(1, 9) else 1


def _png_orientation(file) -> int:
    from PIL import Image

    exif = Image.Exif()
    exif.load(file.info.get("exif"))
    return exif.get(0x112, 1)


def open_lazily(path: Path):
    """Pillow's `Image.open`, also above its limit of 179 million pixels.

    That limit guards servers against hostile files; maps are larger. It is global to the process,
    so the plugin of the format is called instead of changing it.
    """
    from PIL import Image

    try:
        return Image.open(path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        with path.open("rb") as file:
            start = file.read(16)
    for plugin, accepts in Image.OPEN.values():
        if accepts is not None and accepts(start) is True:
            return plugin(path)  # type: ignore[call-arg,arg-type]  # it takes a path as well
    raise Image.UnidentifiedImageError(f"cannot identify image file {path}")


NOT_FINITE_HARM = "One of them turns the loss, all weights and predictions into NaN."
NOT_FINITE_REMEDY = "Fill them with a finite value (0, or the mean), or leave the file out."


def non_finite(
    image: np.ndarray,  # (H, W, C)
) -> np.ndarray:  # (H, W) bool
    """The pixels that hold NaN, infinity, or more than a float32 can."""
    if image.dtype.kind != "f":
        return np.zeros(image.shape[:2], bool)
    with np.errstate(over="ignore"):
        return ~np.all(np.isfinite(image.astype(np.float32, copy=False)), axis=2)


def refuse_not_finite(image: np.ndarray, name: object) -> None:
    """Raise `ImageReadError` where an image (H, W, C) holds pixels that are no numbers."""
    if image.dtype.kind != "f":
        return
    bad = non_finite(image)
    if bad.any():
        row, column = np.unravel_index(bad.argmax(), bad.shape)
        raise ImageReadError(
            f"{name}: NaN or infinity in {np.count_nonzero(bad):,} of {bad.size:,} pixels, the "
            f"first in row {row}, column {column} (counted from 0). {NOT_FINITE_HARM} "
            f"{NOT_FINITE_REMEDY}"
        )
