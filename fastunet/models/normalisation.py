"""Mean and standard deviation that pretrained weights expect of pixels."""

from collections.abc import Sequence

from torch import nn

from fastunet.models.network import HasNormalisation, Statistics, unwrap
from fastunet.models.smp import pretrained_statistics


def for_channels(
    mean: Sequence[float],  # of red, green and blue, as the encoder's weights were trained
    std: Sequence[float],
    in_channels: int,  # of the images
) -> Statistics | None:
    """The statistics of RGB for other images: grey ones take their mean over the channels.

    None for other numbers of channels, for which those of the data themselves fit better.
    """
    if in_channels == 1:
        return (sum(mean) / len(mean),), (sum(std) / len(std),)
    return (tuple(mean), tuple(std)) if in_channels == len(mean) else None


def normalisation_of(
    model: nn.Module,  # any network, also compiled or wrapped
) -> Statistics | None:
    """Mean and std that the encoder's pretrained weights expect, for pixels 0..1; None: the data's.

    A network says so by its attribute `normalisation`, which can be set on any `nn.Module`. Those
    of segmentation_models_pytorch remember which weights they were built with. For others it is
    not guessed: an encoder of timm has the statistics of its weights whether or not these were
    loaded.

    Raises `ArchitectureError` where segmentation_models_pytorch cannot tell its statistics.
    """
    model = unwrap(model)
    if isinstance(model, HasNormalisation):
        return model.normalisation
    found = pretrained_statistics(model)
    return for_channels(*found) if found else None
