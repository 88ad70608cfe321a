"""A U-Net over any of timm's encoders, for any height and width.

Source: Ronneberger et al., https://arxiv.org/abs/1505.04597. The contracting half is an image
classifier's, pretrained if wished; the expanding half is light and sized to it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastunet.errors import ArchitectureError
from fastunet.models.layers import DoubleConv, he_initialise, logit_layer, pad_to_step, set_prior
from fastunet.models.network import Statistics
from fastunet.models.network_options import checked_options
from fastunet.models.normalisation import for_channels
from fastunet.models.pretrained import Weights, load_encoder
from fastunet.models.timm_encoders import plan_encoder


class TimmUNet(nn.Module):
    """A timm encoder, and a decoder that meets its features level by level on the way up.

    At strides finer than the encoder's first feature the skip is the image itself, shrunk to the
    level: thin structures come out at full resolution. Each level enlarges by nearest neighbour.

    A plain encoder (ViT, DINO, BEiT, EVA, mixers: every block at one stride) gets a `Pyramid`. An
    encoder of one image size sees the image resized to it, while the decoder ends at the image's
    own. Weights: see `fastunet.models.pretrained.load_encoder`.

    >>> model = TimmUNet("convnext_tiny", n_classes=3, weights=True)
    >>> logits = model(torch.randn(2, 3, 101, 67))  # (2, 3, 101, 67)

    `TimmUNet(**model.config)` is the same network with random weights. Raises `ArchitectureError`
    where timm does not know the encoder or an option, where the encoder gives no feature maps, and
    where the weights cannot be had.
    """

    def __init__(
        self,
        encoder: str,  # name of a timm model, with or without a tag; see available_encoders()
        in_channels: int = 3,  # of the images
        n_classes: int = 1,  # channels of the logits; 1 for binary
        decoder_channels: Sequence[int] | None = None,  # of each level, coarsest first
        image_size: tuple[int, int] | None = None,  # height, width in training, for a fixed size
        weights: Weights = False,  # True: timm's pretrained ones; a path: a file of them
        **encoder_options: Any,  # of the timm model, as drop_path_rate=0.1
    ):
        given = locals()
        super().__init__()
        checked_options(TimmUNet, given)
        plan = plan_encoder(encoder, in_channels, image_size, **encoder_options)
        self.step, self.size, self.channels_last = plan.step, plan.size, plan.channels_last
        self.encoder = load_encoder(encoder, in_channels, weights, **plan.options)
        _make_buffers(self.encoder, plan.unused)
        plain = len(set(plan.strides)) == 1  # as of a vision transformer: no pyramid yet
        self.pyramid = Pyramid(plan.channels, plan.strides[0]) if plain else None
        features = self.pyramid or plan

        self.image_strides = [s for s in (32, 16, 8, 4, 2, 1) if s < features.strides[0]]
        skips = [*features.channels[-2::-1], *(in_channels for _ in self.image_strides)]
        if decoder_channels is None:
            of_features = map(_width, features.strides[-2::-1], features.channels[-2::-1])
            decoder_channels = [*of_features, *map(_width, self.image_strides)]
        if len(decoder_channels) != len(skips) or min(decoder_channels) < 1:
            raise ArchitectureError(
                f"TimmUNet's decoder_channels are {list(decoder_channels)}; {len(skips)} numbers "
                f"from 1 on were expected, one for each level above {encoder}'s last feature."
            )
        widths = [features.channels[-1], *decoder_channels]
        self.decoder = nn.ModuleList(map(DecoderLevel, widths[:-1], skips, widths[1:]))
        self.head = logit_layer(widths[-1], n_classes)
        he_initialise(self.decoder)
        expected = getattr(self.encoder, "pretrained_cfg", {})
        self.normalisation: Statistics | None = (
            for_channels(expected["mean"], expected["std"], in_channels) if weights else None
        )
        self.config: dict[str, Any] = {
            "encoder": encoder,
            "in_channels": in_channels,
            "n_classes": n_classes,
            "decoder_channels": list(decoder_channels),
            "image_size": None if image_size is None else list(image_size),
            **encoder_options,
        }

    def forward(
        self,
        image: Tensor,  # (B, in_channels, H, W) float, any height and width
    ) -> Tensor:  # (B, n_classes, H, W) float, raw scores
        """The logits, at the size of the image."""
        height, width = image.shape[-2:]
        image = pad_to_step(image, self.step)
        *skips, x = self.features(image)
        skips = [*reversed(skips), *(_shrink(image, stride) for stride in self.image_strides)]
        for decode, skip in zip(self.decoder, skips, strict=True):
            x = decode(x, skip)
        return self.head(x)[..., :height, :width]

    def features(
        self,
        image: Tensor,  # (B, in_channels, H, W), multiples of `step`
    ) -> list[Tensor]:  # each (B, C, H / stride, W / stride), finest first
        """What the encoder makes of the image, as a pyramid."""
        if self.size is not None:
            image = F.interpolate(image, self.size, mode="bilinear")
        features = self.encoder(image)
        if self.channels_last:
            features = [feature.permute(0, 3, 1, 2) for feature in features]
        return features if self.pyramid is None else self.pyramid(features)

    def parts(self) -> dict[str, list[nn.Module]]:
        """The modules of encoder, decoder and head; every parameter is in one of them."""
        pyramid = [] if self.pyramid is None else [self.pyramid]  # untrained, as the decoder is
        return {"encoder": [self.encoder], "decoder": [*pyramid, self.decoder], "head": [self.head]}

    def set_prior(
        self,
        frequencies: Sequence[float],  # share of each class, class 0 first; binary: both
    ) -> None:
        """Let the untrained network predict how frequent the classes are."""
        set_prior(self.head, frequencies)


class Pyramid(nn.Module):
    """The blocks of a plain encoder, the earlier the finer, each half as coarse as the next.

    A transposed convolution unfolds each position of a block into the pixels of its patch. Sources:
    UNETR, https://arxiv.org/abs/2103.10504 (which blocks go where); ViTDet,
    https://arxiv.org/abs/2203.16527 (one layer for each level is enough).
    """

    def __init__(
        self,
        channels: list[int],  # of each block
        stride: int,  # of every block
    ):
        super().__init__()
        factors = [2**level for level in reversed(range(len(channels)))]
        self.strides = [stride / factor for factor in factors]
        self.channels = [*map(_width, self.strides[:-1], channels), channels[-1]]
        self.unfold = nn.ModuleList(
            nn.ConvTranspose2d(block, out, factor, stride=factor)
            for block, out, factor in zip(channels[:-1], self.channels, factors, strict=False)
        )

    def forward(
        self,
        blocks: list[Tensor],  # each (B, C, H, W)
    ) -> list[Tensor]:  # each (B, C', H * factor, W * factor), finest first
        """The pyramid's levels."""
        *early, last = blocks
        unfolded = [unfold(block) for unfold, block in zip(self.unfold, early, strict=True)]
        return [*unfolded, last]


class DecoderLevel(nn.Module):
    """Bring the coarser map to this level's channels and size, and convolve it with the skip."""

    def __init__(
        self,
        in_channels: int,  # of the coarser map
        skip_channels: int,
        out_channels: int,
    ):
        super().__init__()
        # Reducing before enlarging costs a fraction of letting the 3x3 convolution do it.
        reduce = in_channels > out_channels
        self.reduce = nn.Conv2d(in_channels, out_channels, 1, bias=False) if reduce else None
        self.conv = DoubleConv(min(in_channels, out_channels) + skip_channels, out_channels)

    def forward(
        self,
        x: Tensor,  # (B, in_channels, h, w)
        skip: Tensor,  # (B, skip_channels, H, W)
    ) -> Tensor:  # (B, out_channels, H, W)
        """The map of this level."""
        if self.reduce is not None:
            x = self.reduce(x)
        x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
        return self.conv(torch.cat([x, skip], dim=1))


def _make_buffers(module: nn.Module, parameters: list[str]) -> None:
    """Turn parameters that no gradient reaches into buffers: kept, but not trained."""
    for name in parameters:
        path, _, last = name.rpartition(".")
        owner = module.get_submodule(path)
        value = getattr(owner, last).detach()
        delattr(owner, last)
        owner.register_buffer(last, value)


def _width(stride: float, skip_channels: int = 256) -> int:
    """Channels of a level: those of its skip, no more than 16 per pixel of its stride, or 256."""
    return min(skip_channels, 256, int(16 * stride))


def _shrink(image: Tensor, stride: int) -> Tensor:
    return image if stride == 1 else F.avg_pool2d(image, stride, ceil_mode=True)
