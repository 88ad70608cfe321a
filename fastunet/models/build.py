"""A network as JSON, and back: what a bundle says of its architecture."""

from torch import nn

from fastunet.errors import ArchitectureError, BundleError
from fastunet.models.unet import UNet


def describe(model: nn.Module) -> dict:
    """The architecture of `model` as JSON values, from which `rebuild` makes it again.

    A network of the user's own is only named: its code is not stored.
    """
    if isinstance(model, UNet):
        return {"kind": "unet", **model.config}
    if hasattr(model, "fastunet_spec"):
        return dict(model.fastunet_spec)
    cls = type(model)
    return {"kind": "module", "class": f"{cls.__module__}.{cls.__qualname__}"}


def rebuild(architecture: dict) -> nn.Module:
    """The network that `describe` described, with untrained weights.

    Raises `ArchitectureError` where only its own code can build it, `BundleError` where the
    description is damaged.
    """
    options = dict(architecture)
    kind = options.pop("kind")
    try:
        if kind == "unet":
            return UNet(**options)
        if kind == "fastai":
            return _fastai_unet(**options)
    except TypeError as error:
        raise BundleError(
            f"The bundle's architecture {architecture} is damaged: {error}"
        ) from error
    if kind == "module":
        raise ArchitectureError(
            f"The bundle's network is {options.get('class')}, which a bundle does not contain. "
            "Build it as for training and pass it: Segmenter.load(path, model=network)."
        )
    raise ArchitectureError(
        f"The bundle's network is of the kind {kind!r}, which this fastunet does not know; "
        "upgrade it: pip install -U fastunet."
    )


def _fastai_unet(encoder: str, n_classes: int, size: list[int], in_channels: int) -> nn.Module:
    """What fastai's `unet_learner` builds with its defaults over a torchvision encoder."""
    import torchvision
    from fastai.vision.learner import create_unet_model

    return create_unet_model(
        getattr(torchvision.models, encoder), n_classes, tuple(size), pretrained=False,
        n_in=in_channels,
    )  # fmt: skip
