"""The parameters of any network by part, and in the groups that fastai freezes and trains."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from torch import nn

from fastunet.models.network import HasParts, unwrap

ENCODERS = ("encoder", "backbone")  # what other libraries call it; the first that is there counts
HEADS = ("segmentation_head", "classification_head", "classifier", "aux_classifier", "head")


def parts_of(
    model: nn.Module,  # any network, also compiled or wrapped
) -> dict[str, list[nn.Parameter]]:
    """The parameters of "encoder", "decoder" and "head", each parameter once.

    A network says so itself by `parts()`, which returns modules under these names. Of another's,
    the attribute `encoder` (segmentation_models_pytorch) or `backbone` (torchvision) is the
    encoder, those named in `HEADS` are the head, and all the rest is decoder. A network without
    an encoder is all head. A parameter that two parts share counts as the encoder's, then as the
    head's.
    """
    return {part: list(chain(*owned)) for part, owned in _owned_by_part(model).items()}


def split_parameters(
    model: nn.Module,  # any network, also compiled or wrapped
) -> list[list[nn.Parameter]]:
    """A fastai splitter: early encoder, late encoder, decoder and head; each parameter once.

    With it `freeze` trains decoder and head, `freeze_to(-2)` the late encoder too, and
    `slice(lo, hi)` spreads learning rates as in fastai's lessons. Early is the first half of the
    encoder's modules that own parameters, in the order they are registered, which is the order
    they run in all usual encoders; the parameters of one module stay together. A network without
    an encoder is one group.
    """
    owned = _owned_by_part(model)
    encoder = owned["encoder"]
    half = len(encoder) // 2
    groups = (encoder[:half], encoder[half:], owned["decoder"] + owned["head"])
    return [list(chain(*group)) for group in groups if group]


def _owned_by_part(model: nn.Module) -> dict[str, list[list[nn.Parameter]]]:
    """For each part, the parameters of each of its modules that owns any."""
    model = unwrap(model)
    modules = model.parts() if isinstance(model, HasParts) else _parts_by_name(model)
    taken: set[int] = set()
    encoder, head = (list(_owned(modules[part], taken)) for part in ("encoder", "head"))
    decoder = list(_owned([*modules["decoder"], model], taken))  # and what no part has named
    return {"encoder": encoder, "decoder": decoder, "head": head}


def _parts_by_name(model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
    """The encoder and the heads of a network that has no `parts()`."""
    children = dict(model.named_children())
    encoder = next((children[name] for name in ENCODERS if name in children), None)
    if encoder is None:
        return {"encoder": [], "decoder": [], "head": [model]}
    heads = [children[name] for name in HEADS if name in children]
    return {"encoder": [encoder], "decoder": [], "head": heads}


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
