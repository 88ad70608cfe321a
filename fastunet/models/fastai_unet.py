"""fastai's U-Net over a torchvision network, as a plain module: tensors in, tensors out, no hooks.

`unet_learner` builds a `DynamicUnet`, whose encoder hands its skips on through hooks. These keep
the activations of the last batch, and stop `torch.compile`, `torch.export` and copies in
mid-training. Here the same layers, with the same names in the state dict, are run one after the
other. fastai is needed to build the network, not to run it.
"""

import os
from bisect import bisect_left
from collections.abc import Callable
from difflib import get_close_matches
from enum import Enum
from functools import cache
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from textwrap import shorten
from typing import Any
from warnings import warn

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from fastunet._util.terminal import shows_bars
from fastunet._util.text import listing
from fastunet.errors import ArchitectureError
from fastunet.models.network import Statistics
from fastunet.models.network_options import checked_options
from fastunet.models.normalisation import for_channels

Weights = bool | str | os.PathLike | Enum  # an Enum of torchvision's, such as ResNet18_Weights

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of torchvision's weights
_OTHERS = "Take a resnet, or an encoder of timm by its name (a string, not torchvision's callable)."
_LARGEST = 512  # pixels; no network of torchvision needs larger images
_JSON = (bool, int, float, str, list, tuple, type(None))
_WEIGHT_FILES = (".pth", ".pt", ".bin", ".safetensors")
_UNREADABLE = (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError, SafetensorError)


class UpBlock(nn.Module):
    """fastai's `UnetBlock`, which is handed its skip instead of finding it in a hook."""

    def __init__(
        self,
        block: nn.Module,  # a `UnetBlock`, whose layers are taken over
    ):
        super().__init__()
        layers = dict(block.named_children())
        self.shuf, self.bn, self.relu = layers["shuf"], layers["bn"], layers["relu"]
        self.conv1, self.conv2 = layers["conv1"], layers["conv2"]

    def forward(
        self,
        x: Tensor,  # (B, C, h, w)
        skip: Tensor,  # (B, S, H, W), about twice as high and wide
    ) -> Tensor:  # (B, C', H, W)
        """The map at the size of the skip, and of both."""
        x = _resized(self.shuf(x), skip)
        return self.conv2(self.conv1(self.relu(torch.cat([x, self.bn(skip)], dim=1))))


class JoinImage(nn.Module):
    """fastai's `ResizeToOrig`, or its `MergeLayer`, for which the image itself is a skip."""

    def __init__(
        self,
        append: bool,  # the image to the map; False: the map takes its height and width
    ):
        super().__init__()
        self.append = append

    def forward(
        self,
        x: Tensor,  # (B, C, h, w)
        image: Tensor,  # (B, in_channels, H, W)
    ) -> Tensor:  # (B, C, H, W), or (B, C + in_channels, H, W)
        """The map at the image's size."""
        return torch.cat([x, image], dim=1) if self.append else _resized(x, image)


class FastaiUNet(nn.Module):
    """The network of fastai's `unet_learner`, built by fastai, for any height and width.

    Pixel shuffle with ICNR initialisation enlarges (Aitken et al., 2017,
    https://arxiv.org/abs/1707.02937) and a residual block sees the image once more. The state dict
    is that of fastai's `DynamicUnet`: weights of either load into the other.

    >>> logits = FastaiUNet("resnet34", weights=True)(torch.randn(1, 3, 101, 67))  # 1, 1, 101, 67

    With `self_attention=True` torch's spectral norm keeps a computed weight in the network, which
    `copy.deepcopy` refuses after a training step.

    Warns where fastai finds fewer than two skips, as it does beyond the resnet family. Raises
    `ArchitectureError` where torchvision has no such encoder, fastai cannot build on it, or its
    weights cannot be had.
    """

    def __init__(
        self,
        encoder: str,  # the name of torchvision's builder, such as "resnet34"
        in_channels: int = 3,  # of the images; ImageNet weights are adapted as fastai does
        n_classes: int = 1,  # channels of the logits; 1 for binary
        size: tuple[int, int] = (256, 256),  # training images, pixels; shows fastai the skips
        weights: Weights = False,  # True: ImageNet's; or which of torchvision's; or a file
        **options: Any,  # of fastai's `create_unet_model`: blur, self_attention, last_cross, ...
    ):
        given = locals()
        super().__init__()
        checked_options(FastaiUNet, given)
        height, width = size
        shape = {"in_channels": in_channels, "n_classes": n_classes, "size": [height, width]}
        config = {"encoder": encoder, **shape, **options}
        # None where an option is a function or class: a bundle cannot hold such a network.
        self.config = config if all(isinstance(v, _JSON) for v in config.values()) else None
        pretrained = weights is not False and weights is not None
        self.normalisation: Statistics | None = (
            for_channels(_MEAN, _STD, in_channels) if pretrained else None
        )
        build = _builder(encoder)
        if pretrained:
            network = _pretrained(build, weights)
        else:
            with torch.device("cpu"):  # some cannot compute their widths on the meta device
                network = build(weights=None)
            network = network.to(torch.empty(0).device)
        try:
            layers, self.skips = _built_by_fastai(
                build, network, in_channels, n_classes, (height, width), pretrained, options
            )
            self.layers = nn.ModuleList(layers)
            # Smaller images are repeated at their edge: the encoder must leave a pixel, and of a
            # single training image two, since a batch norm cannot train on one value per channel.
            self.least, self.least_alone = _least_sides(layers[0], in_channels)
            with torch.no_grad():  # fastai also builds what cannot run, such as bottle=True
                self.eval()(torch.zeros(1, in_channels, self.least, self.least))
        except (AssertionError, IndexError, RuntimeError, StopIteration, TypeError) as error:
            raise ArchitectureError(
                f"fastai cannot build a U-Net over torchvision's {encoder} with {in_channels} "
                f"channels, size {(height, width)} and {options or 'no options'} "
                f"({type(error).__name__}: {error}). {_OTHERS}"
            ) from error
        if len(self.skips) < 2:
            warn(
                f"fastai finds too few skips in torchvision's {encoder} ({len(self.skips)}): its "
                f"masks will be coarse. {_OTHERS}",
                stacklevel=2,
            )
        self.train()

    def forward(
        self,
        x: Tensor,  # (B, in_channels, H, W) float
    ) -> Tensor:  # (B, n_classes, H, W) float, raw scores
        """The logits, at the size of the image."""
        height, width = x.shape[-2:]
        image = x = self._pad(x)
        encoder, *others = self.layers
        skips = []
        for i, stage in enumerate(encoder.children()):
            x = stage(x)
            if i in self.skips:
                skips.append(x)
        for layer in others:
            if isinstance(layer, UpBlock):
                x = layer(x, skips.pop())
            else:
                x = layer(x, image) if isinstance(layer, JoinImage) else layer(x)
        return x[..., :height, :width]

    def parts(self) -> dict[str, list[nn.Module]]:
        """The modules of encoder, decoder and head; every parameter is in one of them."""
        encoder, *others = (layer for layer in self.layers if list(layer.parameters()))
        return {"encoder": [encoder], "decoder": others[:-1], "head": others[-1:]}

    def _pad(self, x: Tensor) -> Tensor:
        """Repeat the last row and column of an image that is too small for the encoder."""
        height, width = x.shape[-2:]
        least = self.least
        if self.training and len(x) == 1 and max(height, width) < self.least_alone:
            least = self.least_alone
        down, right = max(0, least - height), max(0, least - width)
        return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def _resized(x: Tensor, like: Tensor) -> Tensor:
    """`x` with the height and width of `like`, by nearest neighbour."""
    size = like.shape[-2:]
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="nearest")


def _built_by_fastai(
    build: Callable[..., nn.Module],  # torchvision's builder, by which fastai knows where to cut
    network: nn.Module,  # what it built
    in_channels: int,
    n_classes: int,
    size: tuple[int, int],
    pretrained: bool,  # then the first convolution's weights are adapted to other channels
    options: dict,
) -> tuple[list[nn.Module], list[int]]:
    """The layers of fastai's `DynamicUnet`, and behind which stages of the first a skip leaves."""
    from fastai.callback.hook import model_sizes
    from fastai.layers import MergeLayer
    from fastai.vision.learner import create_body, model_meta
    from fastai.vision.models.unet import DynamicUnet, ResizeToOrig, UnetBlock

    def plain(layer: nn.Module) -> nn.Module:
        if isinstance(layer, UnetBlock):
            return UpBlock(layer)
        if isinstance(layer, ResizeToOrig | MergeLayer):
            return JoinImage(isinstance(layer, MergeLayer))
        return layer

    options = {"cut": model_meta.get(build, {}).get("cut"), **options}
    encoder = create_body(network, in_channels, pretrained, options.pop("cut"))
    unet = DynamicUnet(encoder, n_classes, size, **options)
    unet.sfs.remove()  # its hooks
    widths = [shape[-1] for shape in model_sizes(encoder, size)]
    skips = [i for i, (before, after) in enumerate(pairwise(widths)) if before != after]
    *layers, _to_tensor_base = unet.layers
    return [plain(layer) for layer in layers], skips


def _builder(encoder: str) -> Callable[..., nn.Module]:
    from torchvision import models

    known = models.list_models(module=models)
    if encoder not in known:
        near = get_close_matches(str(encoder), known)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {listing(known)}."
        raise ArchitectureError(f"{encoder!r} is not a network of torchvision; {hint}")
    return models.get_model_builder(encoder)


def _pretrained(build: Callable[..., nn.Module], weights: Weights) -> nn.Module:
    """A network of torchvision with the weights that were asked for, and never with others."""
    name = build.__name__
    file = Path(weights) if isinstance(weights, str | os.PathLike) else None
    if file is not None and isinstance(weights, str) and file.suffix not in _WEIGHT_FILES:
        file = None  # a name of torchvision's
    try:
        if file is None:
            chosen = "DEFAULT" if weights is True else weights
            return build(weights=chosen, progress=shows_bars())
        network = build(weights=None)
        if file.suffix == ".safetensors":
            network.load_state_dict(load_file(file))
        else:
            network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        return network
    except (KeyError, TypeError, ValueError) as error:  # a wrong name, or another network's
        raise ArchitectureError(
            f"{weights!r} are not weights of torchvision's {name} ({error}). Pass weights=True, "
            'one of its names such as "IMAGENET1K_V1", or a file: weights="weights.pth".'
        ) from error
    except _UNREADABLE as error:
        reason = shorten(str(getattr(error, "reason", error)), 200, placeholder=" ...")
        wanted = f"The ImageNet weights of {name}" if file is None else f"{file}: weights of {name}"
        raise ArchitectureError(
            f"{wanted} could not be loaded ({reason}). Start without them: pretrained=False "
            "(--no-pretrained). Or fetch torchvision's file elsewhere and put it into "
            f"{torch.hub.get_dir()}/checkpoints, or pass it: weights=PATH."
        ) from error


@torch.no_grad()
def _least_sides(
    encoder: nn.Module,  # in evaluation mode
    in_channels: int,
) -> tuple[int, int]:
    """The smallest sides of a square image of which the encoder leaves one pixel, and two."""

    @cache
    def deepest(side: int) -> int:
        try:
            return min(encoder(torch.zeros(1, in_channels, side, side)).shape[-2:])
        except RuntimeError:  # torch's, for an image smaller than a kernel
            return 0

    sides = range(1, _LARGEST)  # a larger image leaves no smaller map
    one, two = (sides[bisect_left(sides, pixels, key=deepest)] for pixels in (1, 2))
    return one, two
