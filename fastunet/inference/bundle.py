"""A model on disk: `bundle.json` beside `model.safetensors`. Loading one executes nothing.

A bundle may come from anyone: its JSON is compared with its checksum and checked field by field
before anything is made of it, and the weights with what the JSON and their own header say of them.
"""

import hashlib
import json
import os
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from fastunet import __version__
from fastunet._util.files import make_folder, read_small, write_atomically
from fastunet._util.terminal import printable
from fastunet._util.warn import warn
from fastunet.errors import ArchitectureError, BundleError, FastunetError, OptionError
from fastunet.inference.bundle_schema import THRESHOLD, check_fields
from fastunet.inference.weights_file import Header, WeightsFile, read_weights, weights_bytes
from fastunet.masks.codec import MaskCodec
from fastunet.models.finite import first_nonfinite
from fastunet.preprocess import Preprocess
from fastunet.runs.contents import BUNDLE_JSON as JSON_NAME
from fastunet.runs.contents import MAX_JSON, is_bundle, unfinished

WEIGHTS_NAME = "model.safetensors"
FORMAT = 2  # the first has no checksum
_OUR_WEIGHTS = r"model(-[0-9a-f]{8})?\.safetensors"
_PICKLES = (".pkl", ".pickle", ".pth", ".pt", ".ckpt", ".bin", ".joblib")
_NAME = 1000  # characters of a class name that are kept

# A check of a bundle before its weights are read, which raises where it does not fit. The tensors
# are on the meta device then: they have shapes and types, and no numbers.
BeforeReading = Callable[["Bundle"], None]


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
        if name := first_nonfinite(self.weights):
            raise BundleError(
                f"The weights of {name} are not finite (nan or infinity): such a model predicts "
                "nothing. Train again, with a lower learning rate."
            )

    def save(self, folder: str | os.PathLike) -> Path:
        """Write both files, the JSON last. Returns the folder.

        An older bundle there is replaced in one step: a reader finds the old one or the new one
        whole, also when this process is killed. Weights that no bundle names, such as those of
        another program, stay. Raises `BundleError` where the JSON there is not a bundle's or the
        network could not be loaded again, and `OutputError` where the folder cannot be written.
        """
        folder = make_folder(Path(folder))
        before = _weights_of(folder)
        blob = weights_bytes(self.weights)
        digest = hashlib.sha256(blob).hexdigest()
        name = WEIGHTS_NAME
        if (folder / name).exists():
            name = f"model-{digest[:8]}.safetensors"
        document = self._document(WeightsFile(name, len(blob), digest))
        text = _as_json(document, folder / JSON_NAME)
        write_atomically(folder / name, blob)
        write_atomically(folder / JSON_NAME, text)  # from here on the folder holds this bundle
        if before is not None and before != name:
            (folder / before).unlink(missing_ok=True)
        return folder

    def _document(self, weights: WeightsFile) -> dict:
        masks = self.codec.to_dict()
        masks["classes"] = [printable(name)[:_NAME] for name in masks["classes"]]
        return {
            "format": FORMAT,
            "task": self.codec.task,
            "architecture": self.architecture,
            "masks": masks,
            "preprocess": self.preprocess.to_dict(),
            "threshold": self.threshold,
            "metrics": self.metrics,
            "training": self.training,
            "weights": asdict(weights),
            "versions": {
                "fastunet": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,  # a bundle's folder, or its `bundle.json`
        before_reading: BeforeReading | None = None,
    ) -> "Bundle":
        """Read a bundle, after a check that all it says of itself fits together.

        Warns where an older bundle has no checksum of its JSON. Raises `BundleError` where it is
        missing, cut short, changed, newer, or a pickle, where a field has a wrong value, and where
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
        if not os.path.lexists(json_path) or (folder != path and path.name != JSON_NAME):
            raise BundleError(f"{path} is not a bundle: a folder with a {JSON_NAME} was expected.")
        text, unchanged = read_small(json_path, MAX_JSON, BundleError), 0
        while True:
            try:
                return cls._read(folder, text, before_reading)
            except (BundleError, ArchitectureError):
                # the bundle may have been replaced between the JSON and the weights, by one that
                # was replaced by the first again
                before, text = text, read_small(json_path, MAX_JSON, BundleError)
                unchanged = unchanged + 1 if text == before else 0
                if unchanged == 2:
                    raise

    @classmethod
    def _read(cls, folder: Path, text: bytes, before_reading: BeforeReading | None) -> "Bundle":
        json_path = folder / JSON_NAME
        document = _parse(text, json_path)
        _check_format(document, json_path)
        check_fields(document, json_path)
        try:
            codec = MaskCodec.from_dict(document["masks"])
            preprocess = Preprocess.from_dict(document["preprocess"])
        except (FastunetError, ValueError) as error:
            raise BundleError(f"{json_path} is damaged: {error} Save the bundle again.") from error

        def bundle(weights: dict[str, torch.Tensor]) -> "Bundle":
            architecture, metrics = document["architecture"], document["metrics"]
            training, threshold = document["training"], document.get("threshold", 0.5)
            return cls(architecture, weights, codec, preprocess, metrics, training, threshold)

        def check(header: Header) -> None:
            if before_reading is not None:
                before_reading(bundle(header))

        entry = document["weights"]
        stored = WeightsFile(entry["file"], entry["bytes"], entry["sha256"])
        return bundle(read_weights(folder, stored, check))


# --- the JSON ------------------------------------------------------------------------------------


def checksum(
    document: Mapping,  # the JSON of a bundle
) -> str:
    """SHA-256 of all of it but the checksum itself, whatever its layout and order."""
    content = {name: value for name, value in document.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _as_json(document: dict, path: Path) -> bytes:
    """The text of a bundle's JSON, after a check that it can be loaded again."""
    try:
        document = json.loads(json.dumps(document))  # as it will be read: tuples become lists
    except (TypeError, ValueError) as error:
        raise BundleError(
            f"{path} cannot be written: JSON does not hold what the network's options, the metrics "
            f"or the facts of the training are made of ({error})."
        ) from error
    check_fields(document, path)
    text = json.dumps({**document, "checksum": checksum(document)}, indent=2).encode()
    if len(text) > MAX_JSON:
        raise BundleError(
            f"{path} would have {len(text):,} bytes; at most {MAX_JSON:,} are read again. Hand "
            "over fewer facts as metrics= or training=."
        )
    return text


def _parse(text: bytes, path: Path) -> dict:
    problem = "does not say its format"
    try:
        document = json.loads(text)
        if isinstance(document, dict) and type(document.get("format")) is int:
            return document
    except (ValueError, RecursionError) as error:
        at = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        problem = f"is not JSON{at}"
    raise BundleError(
        f"{path} is cut short or not a bundle's: it {problem}. Copy the bundle again, or save it "
        "again."
    )


def _check_format(document: dict, path: Path) -> None:
    if document["format"] > FORMAT:
        raise BundleError(
            f"{path} has format {document['format']}, newer than this fastunet "
            f"({__version__}) reads; upgrade it: pip install -U fastunet."
        )
    if document["format"] == 1 and "checksum" not in document:
        check_fields(document, path)
        warn(
            f"{path} was written by an older fastunet, without a checksum: the weights are "
            "protected, but a change of the threshold, the classes or the statistics would not be "
            "noticed. To protect it, save it again (in Python: Bundle.load(path).save(path))."
        )
    elif document.get("checksum") != checksum(document):
        raise BundleError(
            f"{path} was changed since it was saved (its checksum differs): the classes, the "
            "threshold or the statistics may not be those of the model. Copy the bundle again. To "
            "change one of them, load the bundle as it was and save it with the new value."
        )


def check_threshold(threshold: float) -> None:
    """Raise `OptionError` unless a probability can be above and below it."""
    if not THRESHOLD.fits(float(threshold)):
        raise OptionError(f"threshold={threshold}; {THRESHOLD.expected} was expected.")


def _weights_of(folder: Path) -> str | None:
    """Our file of weights that the bundle in a folder names; None: there is no such file.

    A bundle that somebody made otherwise may name any file, which is not ours to remove.
    """
    json_path = folder / JSON_NAME
    if not json_path.exists():
        return None
    if not is_bundle(folder):
        raise BundleError(
            f"{json_path} is there already and is not a bundle's, or it is damaged. It stays as it "
            "is: save into another folder, or move that file."
        )
    name = json.loads(json_path.read_bytes())["weights"]["file"]
    return name if re.fullmatch(_OUR_WEIGHTS, name) else None
