"""Synthetic data sets: drawn by this module, not photographed.

They are hard enough that a badly trained network fails, but scores on them say nothing about real
pictures. Every picture has a seed of its own, so they are the same on every machine.
"""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fastunet._util.cache_folder import cache_folder
from fastunet._util.files import make_folder, write_atomically
from fastunet._util.folders import atomic_folder
from fastunet._util.threads import in_threads

_SIZE = 256
_END = b"IEND\xaeB`\x82"  # of a PNG file
_PARTS = ("images", "masks")
_VERSION = 1  # of the drawings; a change of the code below is a change of the data

PARCEL_CLASSES = {
    "water": "#2850c8",
    "forest": "#0a5028",
    "grass": "#50b43c",
    "wheat": "#e6c83c",
    "soil": "#8b5a2b",
}
PARCEL_VOID = "#ffffff"  # the strip between parcels


def nuclei(
    n: int = 120,  # how many pictures
    cache: str | os.PathLike | None = None,  # None: the user's cache folder
) -> Path:
    """Synthetic fluorescence microscopy: touching, blurred, textured nuclei under uneven light.

    256x256 grey PNG images in `images/`, masks of 0 and 255 in `masks/`. Debris that is as bright
    as nuclei but is none makes a threshold fail. Returns the folder.
    """
    return _made("nuclei", n, cache, _draw_nuclei)


def parcels(
    n: int = 120,  # how many pictures
    cache: str | os.PathLike | None = None,  # None: the user's cache folder
) -> Path:
    """Synthetic aerial pictures: fields of 5 classes that differ by texture as much as by colour.

    256x256 RGB PNG images in `images/`, colour masks in `masks/`: `PARCEL_CLASSES`, and
    `PARCEL_VOID` along the borders between fields. Returns the folder.
    """
    return _made("parcels", n, cache, _draw_parcels)


Drawing = tuple[np.ndarray, np.ndarray]  # image, mask


def _made(
    name: str,
    n: int,
    cache: str | os.PathLike | None,
    draw: Callable[[np.random.Generator], Drawing],
) -> Path:
    """The folder, drawn beside and renamed when it is complete; a damaged file is drawn again."""
    root = Path(cache) if cache is not None else cache_folder()
    folder = root / "samples" / f"{name}-{n}-v{_VERSION}"

    def write(root: Path, index: int) -> None:
        drawing = draw(np.random.default_rng([len(name), index]))
        for part, array in zip(_PARTS, drawing, strict=True):
            pixels = array[..., ::-1] if array.ndim == 3 else array  # OpenCV writes BGR
            file = make_folder(root / part) / f"{index:03d}.png"
            write_atomically(file, cv2.imencode(".png", pixels)[1].tobytes())

    if folder.is_dir():
        for index in range(n):
            if not all(_is_whole_png(folder / part / f"{index:03d}.png") for part in _PARTS):
                write(folder, index)
        return folder
    with atomic_folder(folder) as partial:
        for _ in in_threads(lambda index: write(partial, index), range(n), f"Drawing {name}"):
            pass
    return folder


def _is_whole_png(file: Path) -> bool:
    """Whether the file is a complete PNG, by the checksums of its parts."""
    try:
        with Image.open(file) as picture:
            picture.verify()
    except (OSError, SyntaxError):
        return False
    return file.read_bytes().endswith(_END)


def _smooth_noise(rng: np.random.Generator, sigma: float) -> np.ndarray:
    """(256, 256) float32 noise of standard deviation 1 with structures of about `sigma` pixels."""
    noise = cv2.GaussianBlur(rng.standard_normal((_SIZE, _SIZE)).astype(np.float32), (0, 0), sigma)
    return noise / noise.std()


def _ramp(rng: np.random.Generator) -> np.ndarray:
    """(256, 256) uneven light between 0 and 1."""
    y, x = np.mgrid[0:_SIZE, 0:_SIZE].astype(np.float32) / _SIZE
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * x + np.sin(angle) * y + 0.15 * _smooth_noise(rng, 60)
    return (ramp - ramp.min()) / (ramp.max() - ramp.min())


# --- nuclei -------------------------------------------------------------------------------------


def _outline(rng: np.random.Generator, centre: np.ndarray, radius: float) -> np.ndarray:
    """(64, 1, 2) int32 corners of a dented ellipse."""
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    dents = sum(rng.normal(0, 0.05) * np.cos(k * t + rng.uniform(0, 6.3)) for k in (2, 3, 4))
    r = radius * (1 + dents)
    stretch, turn = rng.uniform(0.7, 1.0), rng.uniform(0, np.pi)
    x, y = r * np.cos(t), r * np.sin(t) * stretch
    rotated = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return np.rint(centre + np.stack(rotated, 1)).astype(np.int32)[:, None]


def _draw_nuclei(rng: np.random.Generator) -> Drawing:
    mask = np.zeros((_SIZE, _SIZE), np.uint8)
    glow = np.zeros((_SIZE, _SIZE), np.float32)
    radius = rng.uniform(8, 17)
    centres: list[np.ndarray] = []
    for _ in range(rng.integers(12, 36)):
        if centres and rng.random() < 0.5:  # beside one that is there: they touch
            angle = rng.uniform(0, 2 * np.pi)
            step = 1.8 * radius * np.array([np.cos(angle), np.sin(angle)])
            centre = centres[rng.integers(len(centres))] + step
        else:
            centre = rng.uniform(0, _SIZE, 2)
        centres.append(centre)
        shape = np.zeros_like(mask)
        cv2.fillPoly(shape, [_outline(rng, centre, radius * rng.uniform(0.8, 1.2))], 1)
        mask[shape > 0] = 255
        glow = np.maximum(glow, shape * rng.uniform(0.35, 1.0))

    texture = 1 + 0.22 * _smooth_noise(rng, 2.5)
    cells = cv2.GaussianBlur(glow * texture, (0, 0), rng.uniform(1.0, 2.2))
    haze: np.ndarray = np.zeros((_SIZE, _SIZE), np.float32)
    for _ in range(rng.integers(2, 7)):  # out-of-focus light that is no nucleus
        x, y = rng.integers(0, _SIZE, 2).tolist()
        cv2.circle(haze, (x, y), int(rng.integers(10, 30)), float(rng.uniform(0.3, 0.8)), -1)
    haze = cv2.GaussianBlur(haze, (0, 0), 14)
    for _ in range(rng.integers(5, 25)):  # bright specks
        x, y = rng.integers(0, _SIZE, 2).tolist()
        cv2.circle(cells, (x, y), 1, float(rng.uniform(0.4, 1.0)), -1)

    light = 0.45 + 0.55 * _ramp(rng)
    image = 0.08 + 0.18 * _ramp(rng) + light * (0.55 * cells + 0.35 * haze)
    image += rng.uniform(0.03, 0.07) * rng.standard_normal(image.shape)
    return _to_uint8(image), mask


# --- parcels ------------------------------------------------------------------------------------


def _draw_parcels(rng: np.random.Generator) -> Drawing:
    n = int(rng.integers(7, 15))
    sites = rng.uniform(0, _SIZE, (n, 2)).astype(np.float32)
    y, x = np.mgrid[0:_SIZE, 0:_SIZE].astype(np.float32)
    x, y = x + 4 * _smooth_noise(rng, 20), y + 4 * _smooth_noise(rng, 20)
    distances = np.hypot(x[..., None] - sites[:, 0], y[..., None] - sites[:, 1])
    owner = distances.argmin(-1)
    nearest_two = np.partition(distances, 1, axis=-1)[..., :2]
    border = (nearest_two[..., 1] - nearest_two[..., 0]) < 5

    kinds = rng.integers(0, len(PARCEL_CLASSES), n)
    looks = list(_LOOKS.values())
    image: np.ndarray = np.zeros((_SIZE, _SIZE, 3), np.float32)
    for parcel, kind in enumerate(kinds):
        here = owner == parcel
        image[here] = looks[kind](rng)[here]
    image[border] = (0.55, 0.5, 0.42)
    image = image * (0.7 + 0.5 * _ramp(rng)[..., None]) + 0.04 * rng.standard_normal(image.shape)
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.8)

    colours = np.array([tuple(bytes.fromhex(c[1:])) for c in PARCEL_CLASSES.values()], np.uint8)
    mask = colours[kinds][owner]
    mask[border] = tuple(bytes.fromhex(PARCEL_VOID[1:]))
    return _to_uint8(image), mask


def _tinted(rng: np.random.Generator, colour: tuple[float, float, float], texture: np.ndarray):
    """A colour with the spread that makes classes overlap, modulated by a texture."""
    base = np.array(colour) + rng.normal(0, 0.05, 3)
    return (base * (1 + texture[..., None])).astype(np.float32)


def _rows(rng: np.random.Generator, spacing: float) -> np.ndarray:
    """(256, 256) waves between -1 and 1."""
    y, x = np.mgrid[0:_SIZE, 0:_SIZE]
    angle = rng.uniform(0, np.pi)
    return np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / spacing)


_LOOKS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "water": lambda rng: _tinted(rng, (0.20, 0.30, 0.38), 0.05 * _smooth_noise(rng, 12)),
    "forest": lambda rng: _tinted(rng, (0.22, 0.34, 0.20), 0.30 * _smooth_noise(rng, 3)),
    "grass": lambda rng: _tinted(rng, (0.30, 0.42, 0.22), 0.10 * _smooth_noise(rng, 1.5)),
    "wheat": lambda rng: _tinted(
        rng, (0.50, 0.45, 0.28), 0.14 * _rows(rng, 6) + 0.05 * _smooth_noise(rng, 2)
    ),
    "soil": lambda rng: _tinted(
        rng, (0.48, 0.40, 0.30), 0.10 * _rows(rng, 14) + 0.10 * _smooth_noise(rng, 5)
    ),
}


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
