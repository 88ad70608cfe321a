"""A cache for what is drawn, and data folders to be annotated."""

import cv2
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("FASTUNET_CACHE", str(folder))
    return folder


@pytest.fixture
def picture(tmp_path):
    """Write a black picture of 20 rows and 30 columns; returns the data folder."""

    def write(*names: str, size=(20, 30)):
        for name in names:
            file = tmp_path / "data" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), np.zeros((*size, 3), np.uint8))
        return tmp_path / "data"

    return write


@pytest.fixture
def root(tmp_path):
    """A data folder with images 0.png to 3.png in images/, of 40 rows and 60 columns."""
    (tmp_path / "data/images").mkdir(parents=True)
    for i in range(4):
        image = np.random.default_rng(i).integers(0, 255, (40, 60, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"data/images/{i}.png"), image)
    return tmp_path / "data"
