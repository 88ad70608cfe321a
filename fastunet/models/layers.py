"""The layers that networks are composed of: convolution blocks, enlargement, gates, padding.

Each takes and returns maps of shape (B, C, H, W).
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastunet.errors import ArchitectureError

Norm = Literal["batch", "instance", "group", "none"]
Activation = Literal["relu", "leaky_relu", "gelu", "silu"]
Up = Literal["transposed", "bilinear", "pixel_shuffle"]


def _check(
    option: str,
    value: object,
    choices: object,  # a `Literal`
) -> None:
    if value not in get_args(choices):
        expected = ", ".join(map(repr, get_args(choices)))
        raise ArchitectureError(f"{option} is {value!r}; one of {expected} was expected.")


def norm_layer(
    kind: Norm,
    channels: int,  # of the map to be normalised
) -> nn.Module | None:  # None for "none"
    """The normalisation that stands behind a convolution.

    Batch norm: Ioffe & Szegedy, https://arxiv.org/abs/1502.03167. Instance norm (with a learned
    scale and shift): Ulyanov et al., https://arxiv.org/abs/1607.08022. Group norm: Wu & He,
    https://arxiv.org/abs/1803.08494, in as many groups as divide the channels evenly, up to the
    paper's 32, with four channels or more in each; else in one group.

    Raises `ArchitectureError` where the kind is unknown.
    """
    _check("norm", kind, Norm)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    if kind == "group":
        even = (n for n in range(2, 33) if channels % n == 0 and channels // n >= 4)
        return nn.GroupNorm(max(even, default=1), channels)
    return None


def activation_layer(kind: Activation) -> nn.Module:
    """An activation, in place where its gradient needs no more than its output.

    Raises `ArchitectureError` where the kind is unknown.
    """
    _check("activation", kind, Activation)
    if kind == "relu":
        return nn.ReLU(inplace=True)
    if kind == "leaky_relu":
        return nn.LeakyReLU(inplace=True)
    return nn.GELU() if kind == "gelu" else nn.SiLU()


def conv_norm(
    in_channels: int,
    out_channels: int,
    norm: Norm,
    kernel: int = 3,  # height and width of the kernel, odd: the map keeps its size
) -> list[nn.Module]:
    """A convolution and its normalisation, which makes a bias in front of it useless."""
    bias = norm == "none"
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias)
    normalise = norm_layer(norm, out_channels)
    return [conv] if normalise is None else [conv, normalise]


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each followed by its normalisation and its activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: Norm = "batch",
        activation: Activation = "relu",
    ):
        super().__init__(
            *conv_norm(in_channels, out_channels, norm),
            activation_layer(activation),
            *conv_norm(out_channels, out_channels, norm),
            activation_layer(activation),
        )


class ResidualConv(nn.Module):
    """A `DoubleConv` with a shortcut around it, added before the last activation.

    The shortcut is the identity, or a 1x1 convolution (and its normalisation) where the channels
    change. Source: He et al., https://arxiv.org/abs/1512.03385, figure 2 and option B.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: Norm = "batch",
        activation: Activation = "relu",
    ):
        super().__init__()
        *body, last = DoubleConv(in_channels, out_channels, norm, activation)
        self.body = nn.Sequential(*body)
        same = in_channels == out_channels
        shortcut = [] if same else conv_norm(in_channels, out_channels, norm, kernel=1)
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = last

    def forward(
        self,
        x: Tensor,  # (B, in_channels, H, W)
    ) -> Tensor:  # (B, out_channels, H, W)
        """The block's output: body and shortcut added, then the activation."""
        return self.activation(self.body(x) + self.shortcut(x))


def upsample(kind: Up, in_channels: int, out_channels: int) -> nn.Module:
    """A layer that doubles height and width: (B, in, H, W) -> (B, out, 2H, 2W).

    - "transposed": a transposed 2x2 convolution of stride 2, as in the U-Net.
    - "bilinear": a 1x1 convolution, then bilinear enlargement. Both are linear and the weights of
      the enlargement sum to 1, so their order does not matter to the result; this one costs a
      quarter.
    - "pixel_shuffle": a 1x1 convolution to four times the channels, rearranged into 2x2 pixels
      (Shi et al., https://arxiv.org/abs/1609.05158). The four start with equal weights, as if
      enlarged by nearest neighbour, which leaves no checkerboard (ICNR: Aitken et al.,
      https://arxiv.org/abs/1707.02937).

    Raises `ArchitectureError` where the kind is unknown.
    """
    _check("up", kind, Up)
    if kind == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
    if kind == "bilinear":
        enlarge = nn.Upsample(scale_factor=2, mode="bilinear")
        return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), enlarge)
    conv = nn.Conv2d(in_channels, 4 * out_channels, 1)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))
    return nn.Sequential(conv, nn.PixelShuffle(2))


class AttentionGate(nn.Module):
    """Weigh each pixel of a skip between 0 and 1 by what the coarser level makes of it.

    Additive attention, Oktay et al., https://arxiv.org/abs/1804.03999, equations 1 and 2. Here the
    gating signal is the coarser map already enlarged, so the weights need no resampling.
    """

    def __init__(
        self,
        channels: int,  # of the skip
        signal_channels: int,  # of the gating signal
        activation: Activation = "relu",
    ):
        super().__init__()
        inner = max(1, channels // 2)
        self.of_skip = nn.Conv2d(channels, inner, 1, bias=False)
        self.of_signal = nn.Conv2d(signal_channels, inner, 1)
        self.activation = activation_layer(activation)
        self.to_weight = nn.Conv2d(inner, 1, 1)

    def weights(
        self,
        skip: Tensor,  # (B, channels, H, W)
        signal: Tensor,  # (B, signal_channels, H, W)
    ) -> Tensor:  # (B, 1, H, W), 0 to 1
        """How much of each pixel is let through."""
        joint = self.activation(self.of_skip(skip) + self.of_signal(signal))
        return self.to_weight(joint).sigmoid()

    def forward(
        self,
        skip: Tensor,  # (B, channels, H, W)
        signal: Tensor,  # (B, signal_channels, H, W)
    ) -> Tensor:  # (B, channels, H, W)
        """The skip, each pixel times its weight."""
        return skip * self.weights(skip, signal)


def pad_to_step(
    x: Tensor,  # (B, C, H, W), any height and width from 1 on
    step: int,  # the coarsest stride of the network, pixels
) -> Tensor:
    """Repeat the last row and column until each side is twice the step or a higher multiple of it.

    Twice, because a norm in training needs more than one value per channel at the coarsest level,
    even of a batch of one. A tensor that fits is returned as it is. `torch.export` with dynamic
    height and width takes multiples of the step: `step * Dim("rows", min=2)`.
    """
    height, width = x.shape[-2:]
    down, right = (
        step * torch.sym_max(2, (side + step - 1) // step) - side for side in (height, width)
    )
    if not (down or right):
        return x
    return F.pad(x, (0, right, 0, down), mode="replicate")  # type: ignore[arg-type]  # SymInt


def he_initialise(network: nn.Module) -> None:
    """Start every convolution wider than 1x1 at the scale that keeps activations' variance.

    A deep network without a norm learns so, too. Source: He et al.,
    https://arxiv.org/abs/1502.01852. Their scale for ReLU also fits the other activations.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def logit_layer(
    in_channels: int,
    n_classes: int,  # channels of the logits
) -> nn.Conv2d:
    """The last layer of a network, a 1x1 convolution: (B, in_channels, H, W) to its logits.

    Its weights start at the scale that keeps the variance of the maps (Glorot & Bengio, AISTATS
    2010, their uniform distribution). torch's own start is several times smaller, and logits that
    start near 0 are long on their way to a probability that says something.
    """
    layer = nn.Conv2d(in_channels, n_classes, 1)
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def set_prior(
    head: nn.Conv2d,  # the last convolution, with one logit channel per class (binary: one)
    frequencies: Sequence[float],  # share of each class, class 0 first; binary: both classes
) -> None:
    """Set the bias so that an untrained network predicts how frequent the classes are.

    Training then need not begin by unlearning that every class is as likely; with rare classes
    its first steps are calmer. A share counts as 0.001 at least, so that no class starts out of
    reach. Source: Lin et al., https://arxiv.org/abs/1708.02002, sections 3.3 and 4.1.

    Raises `ArchitectureError` where the frequencies are not one per class, or not numbers from 0
    to 1.
    """
    channels = head.out_channels
    classes = max(2, channels)
    if len(frequencies) != classes:
        raise ArchitectureError(
            f"{len(frequencies)} class frequencies were given; {classes} were expected for a "
            f"network with {channels} logit channel{'s' if channels > 1 else ''}."
        )
    if not all(0 <= share <= 1 for share in frequencies):
        raise ArchitectureError(
            f"The class frequencies are {list(frequencies)}; shares from 0 to 1 were expected."
        )
    logs = [math.log(max(share, 1e-3)) for share in frequencies]
    mean = sum(logs) / classes
    bias = [logs[1] - logs[0]] if channels == 1 else [log - mean for log in logs]
    assert head.bias is not None  # as `logit_layer` makes it
    with torch.no_grad():
        head.bias.copy_(torch.tensor(bias))
