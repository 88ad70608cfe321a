"""An `arch` argument becomes a network, a network JSON, and JSON a network again."""

import inspect
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from textwrap import shorten

import torch
from torch import nn

from fastunet._util.terminal import printable, shown
from fastunet.errors import ArchitectureError, BundleError, FastunetError, OptionError
from fastunet.models.smp import describe_smp

# kind, as bundles name it -> module and name of what builds it again from its `config`
_NETWORKS = {
    "unet": ("fastunet.models.unet", "UNet"),
    "timm": ("fastunet.models.timm_unet", "TimmUNet"),
    "fastai": ("fastunet.models.fastai_unet", "FastaiUNet"),
    "smp": ("fastunet.models.smp", "rebuild_smp"),
}


_FASTAI = "fastai:"  # arch="fastai:resnet34" is the network of fastai's unet_learner


def architecture(name: str) -> str | Callable:
    """The `arch` of `build` that is written so. Raises `OptionError`."""
    if not name.startswith(_FASTAI):
        return name
    from fastai.vision.learner import model_meta  # torchvision takes a while

    known = {builder.__name__: builder for builder in model_meta}
    encoder = name.removeprefix(_FASTAI)
    if encoder not in known:
        raise OptionError(f'arch="{name}" is unknown; fastai has {", ".join(sorted(known))}.')
    return known[encoder]


def default_width(device: str | torch.device) -> int:
    """Channels of the scratch U-Net at full resolution, where nobody says."""
    return 16 if torch.device(device).type == "cpu" else 32


def build(
    arch: str | Callable | nn.Module,  # "unet", a timm name, a torchvision builder, or a network
    in_channels: int,
    n_classes: int,  # channels of the logits
    size: tuple[int, int],  # (height, width) at which it will be trained
    weights: bool | str | os.PathLike = True,  # an encoder's: ImageNet's, none, or a file of them
    options: Mapping | None = None,  # of the network's constructor
) -> nn.Module:
    """The network that `arch` means; one that is built already is given back as it is.

    Raises `ArchitectureError` where `arch` or an option is unknown, and where weights are asked
    for that cannot be had.
    """
    options = dict(options or {})
    shape = {"in_channels": in_channels, "n_classes": n_classes}
    if isinstance(arch, nn.Module):
        if options:
            raise ArchitectureError(
                f"{', '.join(options)}: the network is built already; these are no options of a "
                "Learner, and those of a network go to its constructor."
            )
        return arch
    if arch == "unet":
        network = _builder("unet")
        known = inspect.signature(network).parameters
        if unknown := options.keys() - known:
            raise ArchitectureError(
                f"{', '.join(sorted(unknown))}: no options of the scratch U-Net (which has "
                f"{', '.join(name for name in known if name not in shape)}), nor of a Learner."
            )
        return network(**shape, **options)
    if isinstance(arch, str):
        return _builder("timm")(arch, **shape, image_size=size, weights=weights, **options)
    if callable(arch):
        return _builder("fastai")(arch.__name__, **shape, size=size, weights=weights, **options)
    raise ArchitectureError(
        f'arch={arch!r} is unknown: "unet", the name of a timm encoder, a torchvision callable '
        "such as resnet34, or an nn.Module was expected."
    )


def describe(model: nn.Module) -> dict:
    """The architecture of `model` as JSON values, from which `rebuild` makes it again.

    A network of the user's own is only named: its code is not stored.
    """
    qualified = type(model).__module__, type(model).__qualname__
    kind = next((kind for kind, builder in _NETWORKS.items() if builder == qualified), None)
    config = getattr(model, "config", None)
    if kind is not None and config is not None:
        return {"kind": kind, **config}
    return describe_smp(model) or {"kind": "module", "class": ".".join(qualified)}


def rebuild(architecture: dict) -> nn.Module:
    """The network that `describe` described, with untrained weights.

    Raises `ArchitectureError` where only its own code can build it, `BundleError` where the
    description is damaged.
    """
    options = dict(architecture)
    kind = options.pop("kind")
    if kind in _NETWORKS:
        if "weights" in options:
            raise BundleError("The bundle's architecture names weights of its own; none may.")
        try:
            return _builder(kind)(**options)
        except FastunetError:
            raise
        except Exception as error:  # a library may raise anything where an option is not its own
            said = shorten(printable(f"{type(error).__name__}: {error}"), 300, placeholder=" ...")
            raise BundleError(
                f"The bundle's network cannot be built from {shown(architecture)} ({said}). Either "
                "the bundle is damaged, or it was made with other versions of the libraries (it "
                "names them under versions)."
            ) from error
    if kind == "module":
        raise ArchitectureError(
            f"The bundle's network is {shown(options.get('class'))}, which a bundle does not "
            "contain. Build it as for training and pass it: Segmenter.load(path, model=network)."
        )
    raise ArchitectureError(
        f"The bundle's network is of the kind {shown(kind)}, which this fastunet does not know; "
        "upgrade it: pip install -U fastunet."
    )


def _builder(kind: str) -> Callable[..., nn.Module]:
    """Imported only now: timm and fastai are slow to import, and prediction may need neither."""
    module, name = _NETWORKS[kind]
    return getattr(import_module(module), name)
