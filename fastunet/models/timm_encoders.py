"""timm's encoders: which there are, and what a U-Net has to know to stand on one.

An encoder is looked at on torch's meta device, where tensors have shapes but no numbers: asking
costs no memory, no download and little time.
"""

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn
from tqdm import tqdm

from fastunet._util.terminal import hide_bars, shown
from fastunet._util.text import listing
from fastunet.errors import ArchitectureError
from fastunet.models.pretrained import weights_at_hand

if TYPE_CHECKING:
    import pandas

# What an encoder raises that does not take an option, or images of some size.
REFUSALS = (AssertionError, RuntimeError, TypeError, ValueError)
# How an encoder is told to take images of any size, where it must be told.
ANY_SIZE = ({"dynamic_img_size": True}, {"strict_img_size": False})
# Options of timm's that read files or the network: a bundle, which names options, must not.
RESERVED = {
    *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"),
    *("features_only", "in_chans"),
}
# Rows and columns, in steps, at which an encoder must work to count as taking any size.
TRIED_STEPS = ((2, 3), (7, 5))


@dataclass(frozen=True)
class EncoderPlan:
    """How a timm encoder is built and fed, and the features it gives, finest first."""

    options: dict[str, Any]  # for timm.create_model, next to the name and in_chans
    channels: list[int]  # of each feature
    strides: list[int]  # of each feature
    channels_last: bool  # the features are (B, H, W, C)
    step: int  # heights and widths are padded to a multiple of it, twice or more
    size: tuple[int, int] | None  # the only height and width that it takes; None: any
    unused: list[str]  # names of parameters that the features do not depend on


@torch.inference_mode(False)
@torch.enable_grad()  # for _unused_parameters, wherever a network is built
def plan_encoder(
    name: str,  # of a timm model, with or without a tag
    in_channels: int = 3,
    image_size: tuple[int, int] | None = None,  # height and width in training, for a fixed size
    **options: Any,  # of the timm model, as drop_path_rate=0.1
) -> EncoderPlan:
    """Find out how the encoder is built for images of any size, or else of which size.

    Of several features at one stride the last is taken. Where all have one stride, blocks at even
    distances are taken instead: as many as a pyramid from there up to stride 2 has levels, and
    four at most. An encoder that takes one size only is built for `image_size`, rounded up to its
    stride, where that works, and else for the size it was published with.

    Raises `ArchitectureError` where timm does not know the model or an option, and where the model
    gives no feature maps.
    """
    check_name(name)
    if reserved := sorted(RESERVED & options.keys()):
        raise ArchitectureError(
            f"{', '.join(reserved)}: TimmUNet sets these options of timm's itself, by in_channels "
            "and weights."
        )
    options = {"in_chans": in_channels, **options}
    try:
        encoder = _on_meta(name, **options)
    except REFUSALS as error:
        raise ArchitectureError(
            f"timm builds no encoder from {name!r} with {options}: {error} "
            "available_encoders() lists the encoders."
        ) from error
    strides, taken = _features_to_take(encoder.feature_info)
    if taken != list(encoder.feature_info.out_indices):
        options["out_indices"] = taken

    @cache
    def built_with(*extra: tuple[str, object]) -> Any:
        return _on_meta(name, **dict(extra), **options)

    refusals = []
    published_for = encoder.pretrained_cfg["input_size"][-2:]
    for extra, step, size in _ways_to_feed(strides[-1], image_size, published_for):
        sizes = [size] if size else [(rows * step, cols * step) for rows, cols in TRIED_STEPS]
        try:
            encoder = built_with(*extra.items())
            for side in sizes:
                features = encoder(torch.empty(2, in_channels, *side, device="meta"))
        except REFUSALS as error:
            refusals.append(error)
            continue
        last = getattr(encoder, "output_fmt", "NCHW") == "NHWC"
        channels = [feature.shape[-1 if last else 1] for feature in features]
        build = {**extra, **options}
        del build["in_chans"]
        unused = _unused_parameters(encoder, features)
        return EncoderPlan(build, channels, strides, last, step, size, unused)
    raise ArchitectureError(
        f"The encoder {name!r} gives no feature maps at any image size that was tried: "
        f"{refusals[0]} available_encoders() lists others."
    )


def _features_to_take(info: FeatureInfo) -> tuple[list[int], list[int]]:
    """Strides and indices of the features that a U-Net needs, finest first."""
    strides = [math.ceil(stride) for stride in info.reduction()]
    if len(set(strides)) > 1:
        last_at = dict(zip(strides, info.out_indices, strict=True))
        return list(last_at), list(last_at.values())
    alike = [i for i, one in enumerate(info.info) if one["num_chs"] == info.info[-1]["num_chs"]]
    levels = max(1, min(len(alike), 4, strides[0].bit_length() - 1))
    taken = [alike[len(alike) * level // levels - 1] for level in range(1, levels + 1)]
    return strides[:1] * levels, taken


def _ways_to_feed(
    stride: int, image_size: tuple[int, int] | None, published_for: tuple[int, int]
) -> Iterator[tuple[dict[str, Any], int, tuple[int, int] | None]]:
    """Options for the encoder, the step and the fixed size to try them with; the best way first."""
    for extra in ({}, *ANY_SIZE):
        for step in (stride, 2 * stride, 4 * stride):
            yield extra, step, None
    if image_size is not None:
        height, width = (stride * math.ceil(side / stride) for side in image_size)
        yield {"img_size": (height, width)}, stride, (height, width)
        yield {}, stride, (height, width)
    yield {}, stride, published_for


def _on_meta(name: str, **options: Any) -> Any:  # one of timm's three feature extractors
    with torch.device("meta"):
        return timm.create_model(name, features_only=True, **options)


def _unused_parameters(encoder: nn.Module, features: list[Tensor]) -> list[str]:
    """Those that get no gradient, as a last norm that only the classifier would have used."""
    trained = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(
        [feature.sum() for feature in features], list(trained.values()), allow_unused=True
    )
    moved = {name for name, grad in zip(trained, gradients, strict=True) if grad is not None}
    return [name for name, _ in encoder.named_parameters() if name not in moved]


def check_name(
    name: str,  # of a timm model, with or without a tag
) -> None:
    """Raise an `ArchitectureError` with similar names where timm has no model of this name."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise ArchitectureError(
            f"timm has no encoder {shown(name)}. {_similar(name)}"
            f"available_encoders('*{architecture[:5]}*') lists what there is."
        )
    tagged = timm.list_models(f"{architecture}.*", include_tags=True)
    tags = [full.partition(".")[2] for full in tagged]
    if tag and tag not in tags:
        raise ArchitectureError(
            f"timm has no weights {shown(tag)} for {architecture}; it has: {listing(tags)}."
        )


def _similar(name: str) -> str:
    near = difflib.get_close_matches(name, timm.list_models(), n=5)
    return f"Similar: {', '.join(near)}. " if near else ""


def available_encoders(
    pattern: str = "*",  # of names, as in a shell: "resnet*"; with a dot, of names with tags
) -> "pandas.DataFrame":
    """A table of timm's encoders: name, parameters, strides of the features, and weights.

    `parameters` counts the encoder alone. One stride means a plain encoder, of whose blocks
    `TimmUNet` makes a pyramid. `weights` says where pretrained ones would come from: "installed"
    (a package), "cached" (downloaded before), "download", or "none".

    >>> available_encoders("convnext*").sort_values("parameters")

    All of them take a minute or two. Raises `ArchitectureError` where no name matches.
    """
    import pandas

    names = timm.list_models(pattern, include_tags="." in pattern)
    if not names:
        raise ArchitectureError(
            f"No encoder of timm matches {pattern!r}. {_similar(pattern.replace('*', ''))}"
            "Put * for what may vary, as in '*resnet*'."
        )
    rows = []
    for name in tqdm(names, desc="encoders", disable=hide_bars() if len(names) >= 50 else True):
        try:
            encoder = _on_meta(name)
        except REFUSALS:
            continue  # a model without features
        parameters = sum(parameter.numel() for parameter in encoder.parameters())
        strides = " ".join(map(str, dict.fromkeys(encoder.feature_info.reduction())))
        rows.append((name, parameters, strides, weights_at_hand(name)))
    return pandas.DataFrame(rows, columns=["name", "parameters", "strides", "weights"])
