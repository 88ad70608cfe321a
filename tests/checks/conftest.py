"""What tests of checks do to a folder of pairs, and how they read a report."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def read():
    """The pixels of a file as they are stored."""
    return lambda file: cv2.imread(str(file), cv2.IMREAD_UNCHANGED)


@pytest.fixture
def write():
    def save(file: Path, pixels: np.ndarray) -> None:
        assert cv2.imwrite(str(file), pixels)

    return save


@pytest.fixture
def split():
    """The folder's pairs in train/ and val/ of a new folder beside it."""

    def copied(root: Path, valid: list[str]) -> Path:
        parts = root.with_name(root.name + "-split")
        for kind in ("images", "masks"):
            for part in ("train", "val"):
                (parts / part / kind).mkdir(parents=True)
            for file in sorted((root / kind).iterdir()):
                shutil.copy(file, parts / ("val" if file.stem in valid else "train") / kind)
        return parts

    return copied


@pytest.fixture
def found():
    """The severity of each finding, by its code."""
    return lambda report: {finding.code: finding.severity for finding in report.findings}


@pytest.fixture
def files():
    """The files of the findings of one code."""
    return lambda report, code: {
        name for one in report.findings if one.code == code for name in one.files
    }


@pytest.fixture
def retina_and_vessels():
    """A bright disc on black with a spot and some vessels, as fundus cameras see it; its mask."""

    def draw(seed: int, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        inside = np.hypot(x, y) < 0.9
        spot = np.array([rng.choice([-0.3, 0.3]), rng.normal(0, 0.04)])
        near = (x - spot[0]) ** 2 + (y - spot[1]) ** 2
        picture = inside * (140 * (1 - 0.35 * (x**2 + y**2)) + 70 * np.exp(-near / 0.012))
        vessels = np.zeros((side, side), np.uint8)
        for _ in range(8):
            point, angle = spot, rng.uniform(0, 2 * np.pi)
            path = [point]
            for _ in range(40):
                angle += rng.normal(0, 0.2)
                point = point + 0.04 * np.array([np.cos(angle), np.sin(angle)])
                path.append(point)
            vessel = np.zeros((side, side), np.uint8)
            pixels = np.int32((np.array(path) + 1) / 2 * side)
            cv2.polylines(vessel, [pixels], False, 1, int(rng.integers(2, 5)))
            picture[(vessel > 0) & inside] -= 25
            vessels[(vessel > 0) & inside] = 255
        noisy = picture + rng.normal(0, 2, picture.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8), vessels

    return draw


@pytest.fixture
def changes():
    """Ways to change a picture after which it still looks the same."""

    def compressed(image: np.ndarray) -> np.ndarray:
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
        return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)

    def noisy(image: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(1).integers(0, 12, image.shape, dtype=np.uint8)
        return cv2.add(image, noise)

    return {
        "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.1, beta=5),
        "compressed": compressed,
        "shifted by a pixel": lambda image: np.roll(image, 1, axis=1),
        "noisy": noisy,
    }
