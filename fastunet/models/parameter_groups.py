"""The parameters of any network in the groups that fastai freezes and trains."""

from collections.abc import Iterator, Sequence
from itertools import chain

from torch import nn

from fastunet.models.network import HasParts, unwrap

ENCODERS = ("encoder", "backbone")  # what other libraries call it; the first that is there counts


def split_parameters(
    model: nn.Module,  # any network, also compiled or wrapped
) -> list[list[nn.Parameter]]:
    """A fastai splitter: early encoder, late encoder, and the rest; each parameter once.

    With it `freeze` trains decoder and head, `freeze_to(-2)` the late encoder too, and
    `slice(lo, hi)` spreads learning rates as in fastai's lessons. Early is the first half of the
    encoder's modules that own parameters, in the order they are registered, which is the order
    they run in all usual encoders; the parameters of one module stay together.

    A network says by `parts()` what its encoder is. Another's is the attribute `encoder`
    (segmentation_models_pytorch) or `backbone` (torchvision). A network without an encoder is one
    group.
    """
    model = unwrap(model)
    taken: set[int] = set()
    encoder = list(_owned(_encoder_of(model), taken))
    rest = list(_owned([model], taken))
    half = len(encoder) // 2
    return [list(chain(*group)) for group in (encoder[:half], encoder[half:], rest) if group]


def _encoder_of(model: nn.Module) -> Sequence[nn.Module]:
    if isinstance(model, HasParts):
        return model.parts()["encoder"]
    children = dict(model.named_children())
    return [children[name] for name in ENCODERS if name in children][:1]


def _owned(
    modules: Sequence[nn.Module],
    taken: set[int],  # ids of the parameters that are given out; grows
) -> Iterator[list[nn.Parameter]]:
    """The parameters of each module below `modules` that owns any, in registered order."""
    for root in modules:
        for module in root.modules():
            own = [p for p in module.parameters(recurse=False) if id(p) not in taken]
            taken.update(map(id, own))
            if own:
                yield own
