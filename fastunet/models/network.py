"""What a network can say of itself beside its logits. Any `nn.Module` may, and none must."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from torch import nn

Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and std per channel, of pixels 0..1


@runtime_checkable
class HasParts(Protocol):
    """A network that names its encoder, decoder and head: for learning rates of their own."""

    def parts(self) -> Mapping[str, Sequence[nn.Module]]:
        """The modules of "encoder", "decoder" and "head"."""


@runtime_checkable
class HasPrior(Protocol):
    """A network that can start from the frequency of the classes."""

    def set_prior(
        self,
        frequencies: Sequence[float],  # share of each class, class 0 first; binary: both classes
    ) -> None:
        """Let the untrained network predict how frequent the classes are."""


@runtime_checkable
class HasNormalisation(Protocol):
    """A network whose pretrained weights expect pixels of a known mean and standard deviation."""

    normalisation: Statistics | None  # None: those of the data


def unwrap(model: nn.Module) -> nn.Module:
    """The network itself, inside `torch.compile` or (Distributed)DataParallel."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(compiled := getattr(model, "_orig_mod", None), nn.Module):
            model = compiled
        else:
            return model
