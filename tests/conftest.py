"""Small real files on disk, and the real data sets where they lie beside the checkout."""

import os
import signal
import sys
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is imported: pytest runs two at once

import cv2
import matplotlib
import numpy as np
import pytest
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile(
    "fastunet",
    deadline=None,  # machines are shared and noisy
    max_examples=50,
    derandomize="CI" in os.environ,  # there, the same examples each time
)
settings.load_profile("fastunet")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a job in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared():
    """The folder of real data sets; the test is skipped where it is missing."""

    def find(name: str) -> Path:
        if not (SHARED / name).is_dir():
            pytest.skip(f"the data set {name} is not beside the checkout ({SHARED})")
        return SHARED / name

    return find


def blobs(rng: np.random.Generator, size: tuple[int, int], classes: int, channels: int):
    """A picture of bright discs on noise, and the class of each pixel: easy to learn."""
    height, width = size
    indices = np.zeros(size, np.uint8)
    for kind in range(1, classes):
        for _ in range(2):
            x, y = int(rng.integers(width)), int(rng.integers(height))
            cv2.circle(indices, (x, y), min(size) // 5, kind, -1)
    level = 40 + indices.astype(np.float32) * (180 / max(1, classes - 1))
    image = level[..., None] + rng.normal(0, 12, (height, width, channels))
    return np.clip(image, 0, 255).astype(np.uint8), indices


@pytest.fixture
def draw_blobs():
    """`blobs`, for tests that write their own files."""
    return blobs


@pytest.fixture
def write_pairs(tmp_path):
    """Write `n` pairs into `<folder>/images` and `<folder>/masks`; returns the folder.

    `values` are the mask values of the classes.
    """

    def write(
        n: int = 8,
        values: tuple[int, ...] = (0, 255),
        size: tuple[int, int] = (40, 48),
        channels: int = 3,
        folder: str = "data",
    ) -> Path:
        root = tmp_path / folder
        for part in ("images", "masks"):
            (root / part).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            image, indices = blobs(np.random.default_rng(i), size, len(values), channels)
            mask = np.array(values, np.uint8)[indices]
            cv2.imwrite(str(root / "images" / f"{i:02d}.png"), image)
            cv2.imwrite(str(root / "masks" / f"{i:02d}.png"), mask)
        return root

    return write


@pytest.fixture
def in_tmp(tmp_path, monkeypatch) -> Path:
    """A scratch working directory, for what writes relative to it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def files_of_1000_bytes():
    """No file may grow larger, as if the disk were full."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def write_bundle(in_tmp):
    """Write a bundle of an untrained network for masks of these values; returns its name."""

    def write(name="b", values=(0, 255), seed=0, threshold=0.5, channels=3, codec=None, **how):
        import torch

        from fastunet.inference.bundle import Bundle
        from fastunet.masks.codec import MaskCodec
        from fastunet.models.build import describe
        from fastunet.models.unet import UNet
        from fastunet.preprocess import Preprocess

        codec = codec or MaskCodec(tuple(f"class{i}" for i in range(len(values))), values)
        torch.manual_seed(seed)
        model = UNet(channels, codec.n_out, 1, 4)
        preprocess = Preprocess((24, 24), channels, **how)
        Bundle(describe(model), model.state_dict(), codec, preprocess, threshold=threshold).save(
            in_tmp / name
        )
        return name

    return write


@pytest.fixture
def run(monkeypatch, capsys, in_tmp):
    """Type a command; returns (exit code, stdout, stderr)."""
    from fastunet import cli

    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["fastunet", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return command
