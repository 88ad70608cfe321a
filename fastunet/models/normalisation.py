"""Mean and std that pretrained weights expect of pixels."""

from collections.abc import Sequence

from torch import nn

from fastunet.models import smp
from fastunet.models.parameter_groups import unwrap

Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and std per channel, of pixels 0..1


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
    of segmentation_models_pytorch remember which weights they were built with. Nothing else does:
    an encoder of timm carries the statistics of its weights whether or not they were loaded, so
    networks built around one are not guessed at.

    Raises `ArchitectureError` where segmentation_models_pytorch cannot tell its statistics.
    """
    model = unwrap(model)
    if hasattr(model, "normalisation"):
        return model.normalisation
    statistics = smp.pretrained_statistics(model)
    return for_channels(*statistics, model.config["in_channels"]) if statistics else None
