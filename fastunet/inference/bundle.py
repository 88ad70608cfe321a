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
from fastunet.files import make_folder, write_atomically
from fastunet.preprocess import Preprocess
from fastunet.run_files import BUNDLE_JSON as JSON_NAME
from fastunet.run_files import is_bundle, unfinished

WEIGHTS_NAME = "model.safetensors"
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
        _check_finite(self.weights)

    def save(self, folder: str | os.PathLike) -> Path:
        """Write both files, the JSON last. Returns the folder.

        A bundle that stands there is replaced by one step: whoever reads it, and whenever this
        process is killed, finds the old one or the new one whole. Weights that no bundle names,
        such as those of another program, stay. Raises `BundleError` where the JSON there is not a
        bundle's, and `OutputError` where the folder cannot be written.
        """
        folder = make_folder(Path(folder))
        before = _weights_of(folder)
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.weights.items()}
        blob = save_tensors(tensors)
        digest = hashlib.sha256(blob).hexdigest()
        name = WEIGHTS_NAME
        if (folder / name).exists():
            name = f"model-{digest[:8]}.safetensors"
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
                "file": name,
                "bytes": len(blob),
                "sha256": digest,
            },
            "versions": {
                "fastunet": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }
        text = json.dumps(document, indent=2).encode()
        write_atomically(folder / name, blob)
        write_atomically(folder / JSON_NAME, text)  # from here on the folder holds this bundle
        if before not in (None, name):
            (folder / before).unlink(missing_ok=True)
        return folder

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Bundle":
        """Read a bundle's folder, or its `bundle.json`.

        Raises `BundleError` where it is missing, cut short, changed, newer, or a pickle, and where
        the folder is that of a training run which is not finished.
        """
        path = Path(path)
        if path.is_file() and path.suffix.lower() in _PICKLES:
            raise BundleError(
                f"{path} is a pickle, which can run any code when it is loaded; fastunet does not "
                "load pickles. Save the model with learn.save_bundle(...) and load that folder."
            )
        folder = path if path.is_dir() else path.parent
        json_path = folder / JSON_NAME
        if found := unfinished(folder):
            raise BundleError(found)
        if not json_path.is_file() or (path.is_file() and path.name != JSON_NAME):
            raise BundleError(f"{path} is no bundle: a folder with a {JSON_NAME} was expected.")
        text = json_path.read_bytes()
        while True:
            try:
                return cls._read(folder, text)
            except BundleError:
                before, text = text, json_path.read_bytes() if json_path.is_file() else text
                if text == before:
                    raise  # else the bundle was replaced between the JSON and the weights

    @classmethod
    def _read(cls, folder: Path, text: bytes) -> "Bundle":
        json_path = folder / JSON_NAME
        try:
            document = json.loads(text)
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


def _check_finite(weights: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise BundleError(
                f"The weights of {name} are not finite (nan or infinity): such a model predicts "
                "nothing. Train again, with a lower learning rate."
            )


def _weights_of(folder: Path) -> str | None:
    """The file of weights that the bundle in a folder names; None: there is no bundle."""
    json_path = folder / JSON_NAME
    if not json_path.exists():
        return None
    if not is_bundle(folder):
        raise BundleError(
            f"{json_path} is there already and is not a bundle's, or it is damaged. It stays as it "
            "is: save into another folder, or move that file."
        )
    return Path(json.loads(json_path.read_bytes())["weights"]["file"]).name


def _read_weights(folder: Path, entry: Mapping) -> dict[str, torch.Tensor]:
    file = folder / Path(entry["file"]).name
    try:
        blob = file.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{file} is missing; copy the whole bundle folder.") from None
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
