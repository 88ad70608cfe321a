"""The networks of segmentation_models_pytorch: their statistics, and how a bundle names them.

That library is imported only where one of its networks is at hand.
"""

import inspect
from typing import Any

import torch
from torch import nn

from fastunet._util.terminal import shown
from fastunet.errors import ArchitectureError

LIBRARY = "segmentation_models_pytorch"


def pretrained_statistics(
    model: nn.Module,  # any network
) -> tuple[list[float], list[float], int] | None:  # mean and std of RGB 0..1; channels it takes
    """What the encoder's weights expect, where `model` is smp's and was built with weights.

    The library fetches the statistics from where the weights come from, or from its cache, where
    they lie since the weights were fetched. Raises `ArchitectureError` where neither answers.
    """
    config = _config_of(model)
    if config is None or config["encoder_weights"] is None:
        return None
    from segmentation_models_pytorch.encoders import get_preprocessing_params

    name, weights = config["encoder_name"], config["encoder_weights"]
    if of_timm := getattr(model.encoder, "name", None):  # which an old name may stand for
        name = f"tu-{of_timm}"
    try:
        found = get_preprocessing_params(name, weights)
    except (OSError, ValueError) as error:
        raise ArchitectureError(
            f"Mean and std for the {weights} weights of {name} could not be had ({error}). Set "
            "them on the network: model.normalisation = ((r, g, b), (r, g, b)), for pixels 0..1; "
            "model.normalisation = None takes those of the data."
        ) from error
    scale = found["input_range"][1]  # 1, or 255 where the statistics are of pixels 0..255
    mean, std = ([value / scale for value in found[name]] for name in ("mean", "std"))
    return mean, std, config["in_channels"]


def describe_smp(
    model: nn.Module,  # any network
) -> dict | None:
    """The network of smp as JSON values, from which `rebuild_smp` makes it again.

    None for other networks, and for one that its own configuration does not build again: it was
    changed, or was built with a function (an activation) or options of the encoder, which smp
    does not write down or a bundle should not hand on.
    """
    config = _config_of(model)
    if config is None:
        return None
    options = {n: list(v) if isinstance(v, tuple) else v for n, v in config.items()}
    options["encoder_weights"] = None
    network = type(model).__name__
    with torch.random.fork_rng(devices=[]):  # looking at a network changes no later random number
        try:
            again = rebuild_smp(network, options)
        except ArchitectureError:
            return None
    if type(again) is not type(model) or repr(again) != repr(model):
        return None
    return {"kind": "smp", "network": network, "options": options}


def rebuild_smp(
    network: str,  # the name of smp's class
    options: dict,  # of its constructor
) -> nn.Module:
    """The network that `describe_smp` described, with untrained weights and without a download.

    Raises `ArchitectureError` where smp is missing, or does not know the network or an option.
    """
    try:
        import segmentation_models_pytorch
    except ImportError as error:
        raise ArchitectureError(
            f"The network is {network} of {LIBRARY}, which is not installed: "
            'pip install "fastunet[smp]".'
        ) from error
    build = getattr(segmentation_models_pytorch, network, None)
    if not (isinstance(build, type) and issubclass(build, nn.Module)):
        raise ArchitectureError(
            f"{network!r} is not a network of {LIBRARY} {segmentation_models_pytorch.__version__}."
        )
    _check_encoder(options.get("encoder_name", "resnet34"))
    # Options beyond those named would be handed to timm, where one can name a file to load.
    unknown = sorted(options.keys() - inspect.signature(build).parameters.keys())
    if unknown:
        raise ArchitectureError(
            f"{network} of {LIBRARY} {segmentation_models_pytorch.__version__} has no option "
            f"{', '.join(unknown)}."
        )
    return build(**{**options, "encoder_weights": None})


def _check_encoder(name: str) -> None:
    """Raise `ArchitectureError` unless smp or timm list the encoder.

    Other names can be places: of a repository on the hub, or of a folder.
    """
    import timm
    from segmentation_models_pytorch.encoders import encoders

    from fastunet.models.timm_encoders import check_name

    prefix, _, of_timm = name.partition("-")
    if name in encoders:
        return
    if prefix == "timm" and {of_timm, f"tf_{of_timm}"} & set(timm.list_models()):
        return  # as smp called some of timm's encoders before
    if prefix != "tu":
        raise ArchitectureError(
            f"{LIBRARY} has no encoder {shown(name)}; get_encoder_names() of its encoders lists "
            "them, and tu-NAME is timm's encoder of that name."
        )
    check_name(of_timm)


def _config_of(model: nn.Module) -> dict[str, Any] | None:
    """The options that a network of smp was built with; None for other networks."""
    of_smp = type(model).__module__.partition(".")[0] == LIBRARY
    return getattr(model, "config", None) if of_smp else None
