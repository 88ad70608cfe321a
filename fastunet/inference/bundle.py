"""A model on disk: `bundle.json` beside `model.safetensors`. Loading one executes nothing."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from fastunet import __version__
from fastunet.data.masks import MaskCodec
from fastunet.errors import BundleError
from fastunet.files import write_atomically
from fastunet.preprocess import Preprocess

JSON_NAME = "bundle.json"
FORMAT = 1
_PICKLES = (".pkl", ".pickle", ".pth", ".pt", ".ckpt", ".bin", ".joblib")


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds: how to build the network, how to feed it, what its output means."""

    architecture: dict  # as `fastunet.models.build.describe` gives it
    weights: dict[str, torch.Tensor]
    codec: MaskCodec
    preprocess: Preprocess
    metrics: dict = field(default_factory=dict)  # what was measured, and on what
    training: dict = field(default_factory=dict)  # how it was made, for the reader
    threshold: float = 0.5  # binary: foreground is what is more probable than this

    def __post_init__(self):
        check_threshold(self.threshold)

    def save(self, folder: str | os.PathLike) -> Path:
        """Write both files, each beside and then renamed; the JSON last. Returns the folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.weights.items()}
        blob = save_tensors(tensors)
        document = {
            "format": FORMAT,
            "task": self.codec.task,
            "architecture": self.architecture,
            "masks": self.codec.to_dict(),
            "preprocess": self.preprocess.to_dict(),
            "threshold": self.threshold,
            "metrics": self.metrics,
            "training": self.training,
            "weights": {
                "file": "model.safetensors",
                "bytes": len(blob),
                "sha256": hashlib.sha256(blob).hexdigest(),
            },
            "versions": {
                "fastunet": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }
        write_atomically(folder / "model.safetensors", blob)
        write_atomically(folder / JSON_NAME, json.dumps(document, indent=2).encode())
        return folder

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Bundle":
        """Read a bundle's folder, or its `bundle.json`.

        Raises `BundleError` where it is missing, cut short, changed, newer, or a pickle.
        """
        path = Path(path)
        if path.is_file() and path.suffix.lower() in _PICKLES:
            raise BundleError(
                f"{path} is a pickle, which can run any code when it is loaded; fastunet does not "
                "load pickles. Save the model with learn.save_bundle(...) and load that folder."
            )
        folder = path if path.is_dir() else path.parent
        json_path = folder / JSON_NAME
        if not json_path.is_file() or (path.is_file() and path.name != JSON_NAME):
            raise BundleError(f"{path} is no bundle: a folder with a {JSON_NAME} was expected.")
        try:
            document = json.loads(json_path.read_bytes())
            if document["format"] > FORMAT:
                raise BundleError(
                    f"{json_path} has format {document['format']}, newer than this fastunet "
                    f"({__version__}) reads; upgrade it: pip install -U fastunet."
                )
            return cls(
                document["architecture"],
                _read_weights(folder, document["weights"]),
                MaskCodec.from_dict(document["masks"]),
                Preprocess.from_dict(document["preprocess"]),
                document["metrics"],
                document["training"],
                document.get("threshold", 0.5),  # older bundles have none
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{json_path} is cut short or not a bundle's ({type(error).__name__}: {error}). "
                "Save the bundle again."
            ) from error


def check_threshold(threshold: float) -> None:
    """Raise `ValueError` unless a probability can be above and below it."""
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold={threshold}; a probability from 0 to below 1 was expected.")


def _read_weights(folder: Path, entry: Mapping) -> dict[str, torch.Tensor]:
    file = folder / Path(entry["file"]).name
    if not file.is_file():
        raise BundleError(f"{file} is missing; copy the whole bundle folder.")
    blob = file.read_bytes()
    if len(blob) != entry["bytes"]:
        raise BundleError(
            f"{file} is {len(blob):,} bytes where {entry['bytes']:,} were written: it is cut short "
            "or from another bundle. Copy the bundle again."
        )
    if hashlib.sha256(blob).hexdigest() != entry["sha256"]:
        raise BundleError(f"{file} was changed since it was saved (its SHA-256 differs).")
    try:
        return load_tensors(blob)
    except SafetensorError as error:
        raise BundleError(f"{file} is not a safetensors file ({error}).") from error
