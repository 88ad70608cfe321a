"""A network that a bundle describes, built without numbers and compared with the weights first.

On torch's meta device tensors have shapes but no numbers: a network of any size costs no memory
there. It is given the weights only where its tensors have their names and shapes.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from textwrap import shorten

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from fastunet._util.terminal import printable
from fastunet._util.text import listing
from fastunet.errors import BundleError
from fastunet.models.build import rebuild

# While a network is built it may have more layers and parameters than in the end: classifiers that
# are cut off, a dozen copies that show the shapes. Within these bounds it takes seconds.
_MORE, _AT_LEAST = 60, 20_000
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def build_on_meta(
    architecture: dict,  # as `fastunet.models.build.describe` gives it
    n_tensors: int,  # that the weights hold; a network of many more is not built to its end
) -> nn.Module:
    """The network that is described, on the meta device.

    Raises `ArchitectureError` and `BundleError` as `rebuild` does.
    """
    # Some networks of smp compute with numbers while they are built; their parameters are none.
    everything = architecture.get("kind") != "smp"
    with _on_meta(everything, most=_MORE * n_tensors + _AT_LEAST):
        return rebuild(architecture).to("meta")


@contextmanager
def _on_meta(everything: bool, most: int) -> Iterator[None]:
    """Within, in this thread, parameters (or all tensors) that are made have no numbers."""
    thread, count = threading.get_ident(), 0

    def look(_module: nn.Module, _name: str, part: nn.Module | Tensor | None):
        nonlocal count
        if threading.get_ident() != thread:
            return None
        count += 1
        if count > most:
            raise BundleError(
                "The bundle's network has far more layers than its weights are for: it was "
                "changed. Copy the bundle again from where it was made."
            )
        if isinstance(part, nn.Parameter) and part.device.type != "meta":
            return nn.Parameter(part.to("meta"), part.requires_grad)
        return None

    hooks = [
        register_module_module_registration_hook(look),
        register_module_parameter_registration_hook(look),
    ]
    try:
        with torch.device("meta") if everything else nullcontext():
            yield
    finally:
        for hook in hooks:
            hook.remove()


def check_weights(
    network: nn.Module,
    tensors: Mapping[str, Tensor],  # of the weights, or their likes on the meta device
    where: object,  # for the message
) -> None:
    """Raise `BundleError` unless names, shapes and types of the two are the same.

    A float may be one of another precision: it is converted.
    """
    expected = {name: t for name, t in network.state_dict().items() if isinstance(t, Tensor)}
    if missing := expected.keys() - tensors.keys():
        problem = f"they lack {listing(sorted(missing), 3)}"
    elif more := tensors.keys() - expected.keys():
        problem = f"they also hold {listing(sorted(more), 3)}"
    elif odd := [name for name in expected if not _alike(expected[name], tensors[name])]:
        found, wanted = _described(tensors[odd[0]]), _described(expected[odd[0]])
        problem = f"{odd[0]} is {found}, {wanted} was expected"
        problem += f" (and {len(odd) - 1} more differ)" if odd[1:] else ""
    else:
        return
    raise BundleError(
        f"{where}: the weights do not fit the network: {problem}. Copy the whole bundle again, "
        "or, for a network of your own, build it as for training."
    )


def check_output(
    network: nn.Module,  # on the meta device, where running it costs next to nothing
    channels: int,  # of the images
    n_out: int,  # channels of the logits; for one, a network of two classes has two
    size: tuple[int, int],  # (height, width) of the images
    where: object,  # for the message
) -> None:
    """Raise `BundleError` unless the network makes logits of such images."""
    try:
        with torch.no_grad():
            logits = network.eval()(torch.empty(1, channels, *size, device="meta"))
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    except Exception as error:  # a network may raise anything
        found = shorten(printable(f"{type(error).__name__}: {error}"), 300, placeholder=" ...")
    finally:
        network.train()
    expected = [(1, n, *size) for n in ((1, 2) if n_out == 1 else (n_out,))]
    if found not in expected:
        raise BundleError(
            f"{where}: the network does not fit the images and classes: for an image of "
            f"{channels} channels and {size[0]}x{size[1]} pixels (height x width) it gives "
            f"{found}; {expected[0]} was expected. Copy the whole bundle again, or save it again."
        )


def with_weights(
    network: nn.Module,  # on the meta device or elsewhere, and found to fit the weights
    architecture: dict,  # of which it was built
    weights: Mapping[str, Tensor],
) -> nn.Module:
    """The network with the weights: itself, or built again where it is more than its weights."""
    state = network.state_dict()
    on_meta = any(tensor.is_meta for tensor in state.values())
    if on_meta and not _computes(network):
        fitting = {name: tensor.to(state[name].dtype) for name, tensor in weights.items()}
        network.load_state_dict(fitting, assign=True)
        return network
    if on_meta:
        network = rebuild(architecture)
    network.load_state_dict(weights)
    return network


def _computes(network: nn.Module) -> bool:
    """Whether it has tensors that no weights hold, such as tables of relative positions."""
    state = network.state_dict()
    named = (*network.named_parameters(), *network.named_buffers())
    others = [tensor for name, tensor in named if name not in state]
    others += [value for module in network.modules() for value in vars(module).values()]
    return any(isinstance(value, Tensor) and value.is_meta for value in others)


def _alike(a: Tensor, b: Tensor) -> bool:
    floats = a.dtype in _FLOATS and b.dtype in _FLOATS
    return a.shape == b.shape and (a.dtype == b.dtype or floats)


def _described(tensor: Tensor) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"{'x'.join(map(str, tensor.shape)) or 'one number'} of {kind}"
