"""The scratch U-Net, for any height and width, and a look at the shapes inside a network.

Source: Ronneberger, Fischer, Brox: U-Net (MICCAI 2015), with padded convolutions, so that the
logits have the size of the input.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastunet.errors import ArchitectureError

Norm = Literal["batch", "none"]


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each followed by its normalisation and a ReLU."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm):
        layers = []
        for channels in (in_channels, out_channels):
            layers.append(nn.Conv2d(channels, out_channels, 3, padding=1, bias=norm == "none"))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(out_channels))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class UNet(nn.Module):
    """The U-Net of the paper: double convolutions, max-pooling, transposed convolutions, skips.

    With `norm="none"`, width 64 and depth 4 it is the network of the tutorials: 31,031,745
    parameters for three channels and one class.

    >>> logits = UNet(3, 1)(torch.randn(1, 3, 101, 67))  # (1, 1, 101, 67)

    Raises `ArchitectureError` where an option is none of those that there are.
    """

    def __init__(
        self,
        in_channels: int,  # of the images
        n_classes: int,  # channels of the logits; 1 for binary
        depth: int = 4,  # how often height and width are halved
        width: int = 64,  # channels at full resolution, doubled each time these are halved
        norm: Norm = "batch",  # behind each convolution
    ):
        super().__init__()
        numbers = {"in_channels": in_channels, "n_classes": n_classes, "depth": depth,
                   "width": width}  # fmt: skip
        for name, value in numbers.items():
            if value < 1:
                raise ArchitectureError(f"UNet's {name} is {value}; 1 or more was expected.")
        if norm not in get_args(Norm):
            raise ArchitectureError(f"UNet's norm is {norm!r}; {get_args(Norm)} were expected.")
        self.config = {**numbers, "norm": norm}
        widths = [width * 2**level for level in range(depth + 1)]
        self.enc = nn.ModuleList(
            DoubleConv(a, b, norm)
            for a, b in zip([in_channels, *widths], widths[:-1], strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = DoubleConv(widths[-2], widths[-1], norm)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[:-1])
        self.dec = nn.ModuleList(DoubleConv(2 * w, w, norm) for w in widths[:-1])
        self.head = nn.Conv2d(width, n_classes, 1)
        self.apply(_initialise)

    def forward(
        self,
        x: Tensor,  # (B, in_channels, H, W) float
    ) -> Tensor:  # (B, n_classes, H, W) float, raw scores
        height, width = x.shape[-2:]
        x = _pad_to_multiple(x, 2 ** len(self.enc))
        skips = []
        for encode in self.enc:
            x = encode(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottleneck(x)
        for up, decode, skip in zip(
            reversed(self.up), reversed(self.dec), reversed(skips), strict=True
        ):
            x = decode(torch.cat([skip, up(x)], dim=1))
        return self.head(x)[..., :height, :width]


def _pad_to_multiple(x: Tensor, step: int) -> Tensor:
    """Repeat the last row and column until height and width are multiples of `step`."""
    height, width = x.shape[-2:]
    down, right = -height % step, -width % step
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def _initialise(module: nn.Module) -> None:
    """He initialisation (He et al., ICCV 2015): a deep ReLU network without norm also learns."""
    if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def trace_shapes(
    model: nn.Module,
    size: int | tuple[int, int] = 128,  # height and width of the input, pixels
    in_channels: int | None = None,  # None: those of the model's first convolution
) -> None:
    """Print the shape of the tensor after each stage of a network, in the order they run.

    >>> trace_shapes(UNet(3, 1))  # Input: (1, 3, 128, 128), After enc1: (1, 64, 128, 128), ...
    """
    height, width = (size, size) if isinstance(size, int) else size
    parameter = next(model.parameters())
    if in_channels is None:
        first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
        in_channels = first.in_channels
    hooks = [
        stage.register_forward_hook(
            lambda _module, _inputs, out, name=name: print(f"After {name}: {tuple(out.shape)}")
        )
        for name, stage in _stages(model)
    ]
    training = model.training
    try:
        x = torch.zeros(1, in_channels, height, width, device=parameter.device)
        print(f"Input: {tuple(x.shape)}")
        with torch.inference_mode():
            out = model.eval()(x)
        print(f"Output: {tuple(out.shape)}")
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()


def _stages(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """A network's children by name; those of a list as `enc1`, `enc2`, ..."""
    stages = []
    for name, child in model.named_children():
        if isinstance(child, nn.ModuleList):
            stages += [(f"{name}{i}", stage) for i, stage in enumerate(child, 1)]
        elif name != "pool":
            stages.append((name, child))
    return stages
