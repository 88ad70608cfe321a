"""The scratch U-Net, for any height and width.

Source: Ronneberger, Fischer, Brox: U-Net (MICCAI 2015, https://arxiv.org/abs/1505.04597), with
padded convolutions, so that the logits have the size of the input.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastunet.models.layers import (
    Activation,
    AttentionGate,
    DoubleConv,
    Norm,
    ResidualConv,
    Up,
    activation_layer,
    he_initialise,
    logit_layer,
    pad_to_step,
    set_prior,
    upsample,
)
from fastunet.models.network_options import checked_options

COARSER_LEVELS = 3  # at most so many are supervised besides the finest


class UNet(nn.Module):
    """The U-Net of the paper: double convolutions, max-pooling, enlargement, skips.

    >>> logits = UNet(3, 1)(torch.randn(1, 3, 101, 67))  # (1, 1, 101, 67)

    The network of the tutorials is `UNet(3, 1, norm="none")`, 31,031,745 parameters; some of them
    put a ReLU behind each transposed convolution: `UNet(3, 1, norm="none", up_activation=True)`.
    `UNet(**model.config)` builds a network again, with untrained weights.

    Raises `ArchitectureError` where an option has a value that it cannot have.
    """

    def __init__(
        self,
        in_channels: int,  # of the images
        n_classes: int,  # channels of the logits; 1 for binary
        depth: int = 4,  # how often height and width are halved
        width: int = 64,  # channels at full resolution, doubled each time these are halved
        norm: Norm = "batch",  # behind each convolution
        activation: Activation = "relu",  # behind each norm
        up: Up = "transposed",  # how a coarser map is enlarged
        residual: bool = False,  # a shortcut around each double convolution
        attention: bool = False,  # a gate on each skip
        dropout: float = 0.0,  # share of channels dropped behind the bottleneck, in training
        deep_supervision: bool = False,  # logits of coarser decoder levels, too, in training
        up_activation: bool = False,  # an activation behind each enlargement
    ):
        given = locals()
        super().__init__()
        self.config = checked_options(UNet, given)
        self.deep_supervision = deep_supervision

        def convolve(channels: int, out: int) -> nn.Module:
            block = ResidualConv if residual else DoubleConv
            return block(channels, out, norm, activation)

        def enlarge(channels: int, out: int) -> nn.Module:
            layer = upsample(up, channels, out)
            return nn.Sequential(layer, activation_layer(activation)) if up_activation else layer

        *widths, deepest = (width * 2**level for level in range(depth + 1))
        self.enc = nn.ModuleList(
            convolve(a, b) for a, b in zip([in_channels, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = convolve(widths[-1], deepest)
        self.dropout = nn.Dropout2d(dropout)  # the end of the contracting path, as in the paper
        self.up = nn.ModuleList(enlarge(2 * w, w) for w in widths)
        self.gate = nn.ModuleList(AttentionGate(w, w, activation) for w in widths if attention)
        self.dec = nn.ModuleList(convolve(2 * w, w) for w in widths)
        self.head = logit_layer(width, n_classes)
        supervised = widths[1 : COARSER_LEVELS + 1] if deep_supervision else []
        self.coarse_heads = nn.ModuleList(logit_layer(w, n_classes) for w in supervised)
        he_initialise(self)

    def forward(
        self,
        x: Tensor,  # (B, in_channels, H, W) float
    ) -> Tensor | list[Tensor]:  # (B, n_classes, H, W) float, raw scores
        """The logits; in training with deep supervision a list of them, the finest level first.

        Those of the coarser levels are enlarged to the size of the input. Source: Lee et al.,
        Deeply-supervised nets, https://arxiv.org/abs/1409.5185.
        """
        height, width = x.shape[-2:]
        x = pad_to_step(x, 2 ** len(self.enc))
        skips = []
        for encode in self.enc:
            x = encode(x)
            skips.append(x)
            x = self.pool(x)
        x = self.dropout(self.bottleneck(x))
        coarser = []
        for level in reversed(range(len(skips))):
            skip, x = skips.pop(), self.up[level](x)
            if self.gate:
                skip = self.gate[level](skip, x)
            x = self.dec[level](torch.cat([skip, x], dim=1))
            if self.training and 0 < level <= len(self.coarse_heads):
                coarse = self.coarse_heads[level - 1](x)
                coarser.append(F.interpolate(coarse, scale_factor=2**level, mode="bilinear"))
        logits = [one[..., :height, :width] for one in (self.head(x), *reversed(coarser))]
        return logits if self.training and self.deep_supervision else logits[0]

    def parts(self) -> dict[str, list[nn.Module]]:
        """The encoder, the decoder and the head: each parameter is in one of them."""
        return {
            "encoder": [*self.enc, self.bottleneck],
            "decoder": [*self.up, *self.gate, *self.dec],
            "head": [self.head, *self.coarse_heads],
        }

    def set_prior(
        self,
        frequencies: Sequence[float],  # share of each class, class 0 first; binary: both classes
    ) -> None:
        """Let the untrained network predict the classes' frequencies; see `layers.set_prior`."""
        for head in (self.head, *self.coarse_heads):
            assert isinstance(head, nn.Conv2d)
            set_prior(head, frequencies)
