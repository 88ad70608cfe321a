"""A look inside a network: the shape of the tensor behind each stage."""

import torch
from torch import Tensor, nn

from fastunet.errors import ArchitectureError
from fastunet.models.forward_check import as_it_was


def trace_shapes(
    model: nn.Module,
    size: int | tuple[int, int] = 128,  # height and width of the input, pixels
    in_channels: int | None = None,  # None: those of the model's first convolution
) -> None:
    """Print the shape of the tensor after each stage of a network, in the order they run.

    >>> trace_shapes(UNet(3, 1))  # Input: (1, 3, 128, 128), After enc1: (1, 64, 128, 128), ...

    The model is run in evaluation mode and left as it was. Raises `ArchitectureError` where it has
    no convolution to read `in_channels` from.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if in_channels is None:
        convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
        if not convolutions:
            raise ArchitectureError(
                f"{type(model).__name__} has no 2D convolution to read the channels of its input "
                "from; pass in_channels."
            )
        in_channels = convolutions[0].in_channels
    parameter = next(model.parameters())
    x = torch.zeros(1, in_channels, height, width, device=parameter.device, dtype=parameter.dtype)
    hooks = [
        stage.register_forward_hook(
            lambda _module, _inputs, out, name=name: print(f"After {name}: {_shape(out)}")
        )
        for name, stage in _stages(model)
    ]
    try:
        print(f"Input: {_shape(x)}")
        with as_it_was(model):
            print(f"Output: {_shape(model(x))}")
    finally:
        for hook in hooks:
            hook.remove()


def _stages(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """A network's children by name; those of a list as `enc1`, `enc2`, ...

    Pooling and dropout are no stages of their own.
    """
    stages = []
    for name, child in model.named_children():
        if isinstance(child, nn.ModuleList):
            stages += [(f"{name}{i}", stage) for i, stage in enumerate(child, 1)]
        elif not isinstance(child, (nn.MaxPool2d, nn.Dropout2d)):
            stages.append((name, child))
    return stages


def _shape(out: Tensor | list[Tensor]) -> str:
    """`(1, 3, 8, 8)`, or the shapes of several tensors (an encoder's maps) one after the other."""
    tensors = [out] if isinstance(out, Tensor) else out
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
