"""What a user types: the options that commands share, and their text as values."""

import math
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fastunet._util.terminal import options
from fastunet.errors import ArchitectureError, TrainingError

_DATA, _SPLIT, _INPUT = "What the data are", "The split", "What the network sees"

Data = Annotated[Path, typer.Argument(help="Folder of images and masks.", show_default=False)]
Images = Annotated[
    Path | None,
    typer.Option(
        help="Folder of images, if DATA has none of the known layouts.", rich_help_panel=_DATA
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(
        help="Folder of masks, by its name where there are several, or with --images.",
        rich_help_panel=_DATA,
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option(help="What a mask's name has before the image's.", rich_help_panel=_DATA),
]
Suffix = Annotated[
    str | None,
    typer.Option(help="What a mask's name has behind the image's.", rich_help_panel=_DATA),
]
Classes = Annotated[
    str | None,
    typer.Option(
        help='Class names, by ascending value: "soil,weed,crop"; or with values or colours: '
        '"soil=#000000,weed=#ff0000,crop=#00ff00". A name given twice has two of them.',
        rich_help_panel=_DATA,
    ),
]
Void = Annotated[
    list[str] | None,
    typer.Option(
        help="Mask value (11) or colour (#ffffff) that does not count. May be repeated.",
        rich_help_panel=_DATA,
    ),
]
_NETWORK = "The network"
Arch = Annotated[
    str,
    typer.Option(
        help='"unet", any timm encoder ("resnet34"; see fastunet encoders), or '
        '"fastai:resnet34", the network of fastai\'s unet_learner.',
        rich_help_panel=_NETWORK,
    ),
]
Pretrained = Annotated[
    bool, typer.Option(help="Start an encoder from ImageNet weights.", rich_help_panel=_NETWORK)
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="A file with the encoder's weights (.safetensors, .pth), instead of a download.",
        rich_help_panel=_NETWORK,
    ),
]
Width = Annotated[
    int | None,
    typer.Option(
        help='Channels of "unet" at full resolution.',
        show_default="32; on a CPU 16",
        rich_help_panel=_NETWORK,
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        help="Network input: 256, or HEIGHTxWIDTH.",
        show_default="256; on a CPU 128",
        rich_help_panel=_INPUT,
    ),
]
Patch = Annotated[
    str | None,
    typer.Option(
        help="Instead of the whole image: random patches of this size, as --size.",
        rich_help_panel=_INPUT,
    ),
]
Scale = Annotated[
    float,
    typer.Option(
        help="Share of the image's resolution at which patches are cut.", rich_help_panel=_INPUT
    ),
]
AugmentOption = Annotated[
    str | None,
    typer.Option(
        "--augment",
        help='"scene" (has an up and a down), "free" (microscopy, aerial), "light" or "none".',
        show_default="scene",
        rich_help_panel=_INPUT,
    ),
]
CacheOption = Annotated[
    str,
    typer.Option(
        "--cache",
        help='Decoded pixels are kept: "auto", "ram", "disk" or "none".',
        rich_help_panel=_INPUT,
    ),
]
ScalingOption = Annotated[
    str,
    typer.Option(
        "--scaling",
        help='Numbers of images of several types or ranges: "dtype" (the largest of each type is '
        'white), "percentile" (they mean the same in all files) or "auto".',
        rich_help_panel=_DATA,
    ),
]
OrientationOption = Annotated[
    str | None,
    typer.Option(
        "--orientation",
        help='Photos turned by EXIF whose masks fit both ways: "upright" or as "stored".',
        show_default="found out, or asked",
        rich_help_panel=_DATA,
    ),
]
Instances = Annotated[
    bool,
    typer.Option(
        "--instances",
        help="The masks number objects: all are the foreground.",
        rich_help_panel=_DATA,
    ),
]
Unknown = Annotated[
    str,
    typer.Option(
        help='Mask values that --classes does not name: "error" or "void".', rich_help_panel=_DATA
    ),
]
Groups = Annotated[
    str | None,
    typer.Option(
        help='What stays in one part: "auto" (found from the names), or a regular expression '
        "whose group is the key, such as '^(.*)_[0-9]+$'.",
        rich_help_panel=_SPLIT,
    ),
]
Fold = Annotated[
    str | None,
    typer.Option(
        help="Cross-validation: 2/5 validates on the second of five parts.", rich_help_panel=_SPLIT
    ),
]
SplitFile = Annotated[
    Path | None,
    typer.Option(
        "--split",
        help="The split.json of another run, to repeat its split.",
        rich_help_panel=_SPLIT,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Refuse data in which `inspect` finds an error.", rich_help_panel=_DATA
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad",
        help="Leave out, and list, pairs that cannot be read or do not fit together.",
        rich_help_panel=_DATA,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--bs", help="Batch size.", show_default="16, fewer for few images", rich_help_panel=_INPUT
    ),
]
Seed = Annotated[int, typer.Option(help="Of the split, the weights and the augmentation.")]
ValidPct = Annotated[
    float,
    typer.Option(
        help="Share held out, where the data have no split of their own.", rich_help_panel=_SPLIT
    ),
]
PrecisionOption = Annotated[
    str, typer.Option("--precision", help="auto (what is fast on the device), bf16, fp16 or fp32.")
]
Replace = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")]
Monitor = Annotated[
    str | None,
    typer.Option(
        help='What says which epoch is the best and kept, such as "valid_loss" or "mean_iou".',
        show_default="dice",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a run in the --out folder.")]


# --- as values ----------------------------------------------------------------------------------


def settings_of(
    *,
    classes: str | None,
    void: list[str] | None,
    size: str | None,
    patch: str | None,
    scale: float,
    precision: str,
    unknown: str,
    augment: str | None,
    cache: str,
    scaling: str,
    orientation: str | None,
    arch: str,
    width: int | None,
    pretrained: bool,
    weights: Path | None,
    fold: str | None = None,
    **rest,
):
    """`run.Settings` of the options that commands share; mistakes are found before the imports."""
    kept = one_of("--cache", cache, ("auto", "ram", "disk", "none"))
    read = {
        "classes": class_names(classes),
        "void": void or None,
        **network_input(size, patch, scale),
        "precision": one_of("--precision", precision, ("auto", "bf16", "fp16", "fp32")),
        "unknown": one_of("--unknown", unknown, ("error", "void")),
        "augment": augment and one_of("--augment", augment, ("scene", "free", "light", "none")),
        "cache": None if kept == "none" else kept,
        "fold": _fold(fold),
        **image_reading(scaling, orientation),
    }
    _check_network(arch, width, pretrained, weights)
    quiet_plots()
    from fastunet.training import Settings

    network = {"arch": arch, "width": width, "pretrained": pretrained, "weights": weights}
    return Settings(**read, **network, **rest, command=command_line())


def image_reading(scaling: str, orientation: str | None) -> dict:
    """How the images' numbers and their EXIF orientation are meant."""
    return {
        "scaling": one_of("--scaling", scaling, ("auto", "dtype", "percentile")),
        "orientation": orientation and one_of("--orientation", orientation, ("upright", "stored")),
    }


def network_input(
    size: str | None, patch: str | None, scale: float
) -> dict[str, tuple[int, int] | float | None]:
    """What the network sees, as values; raises `TrainingError` for what contradicts itself."""
    if size and patch:
        raise TrainingError("--size and --patch were both given; the network sees one of them.")
    if not 0 < scale < math.inf:
        raise TrainingError(f"--scale {scale:g}: a number above 0, such as 0.5, was expected.")
    if scale != 1 and not patch:
        raise TrainingError("--scale goes with --patch; --size sets the resolution by itself.")
    return {"size": _size("--size", size), "patch": _size("--patch", patch), "scale": scale}


def _check_network(arch: str, width: int | None, pretrained: bool, weights: Path | None) -> None:
    """Find a mistyped network by its name alone, before the data are read."""
    if width is not None and arch != "unet":
        raise ArchitectureError(f'--width {width} belongs to --arch "unet", not to {arch}.')
    if width is not None and width < 1:
        raise ArchitectureError(f"--width {width}: a number of channels above 0 was expected.")
    if weights is not None and arch == "unet":
        raise ArchitectureError(
            f'--weights {weights} are those of an encoder; --arch "unet" has none. Name the '
            "encoder that they belong to: --arch resnet34."
        )
    if weights is not None and not pretrained:
        raise ArchitectureError(
            "--weights and --no-pretrained were both given; one of them says how to start."
        )
    if weights is not None and not weights.is_file():
        raise ArchitectureError(f"--weights {weights}: there is no file {weights}.")
    if arch.startswith("fastai:"):
        from fastunet.training import architecture

        architecture(arch)
    elif arch != "unet":
        from fastunet.models.timm_encoders import check_name

        check_name(arch)


def one_of(option: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise TrainingError(f"{option} {text}: one of {', '.join(choices)} was expected.")
    return text


def _size(option: str, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise TrainingError(
            f"{option} {text}: a number (256) or HEIGHTxWIDTH (192x256) was expected."
        )
    return int(sides[0]), int(sides[-1])


def _fold(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number, _, k = text.partition("/")
    if not (number.isdigit() and k.isdigit() and 1 <= int(number) <= int(k) >= 2):
        raise TrainingError(f"--fold {text}: a fold and their number, such as 1/5, was expected.")
    return int(number) - 1, int(k)


def learning_rate(text: str | None) -> float | None:
    if text in (None, "find"):
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise TrainingError(f'--lr {text}: a rate above 0, such as 0.003, or "find" was expected.')
    return rate


def class_names(text: str | None) -> list[str] | dict[str, list[str]] | None:
    """The names, or the values of each; a name that is given twice has two."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if any("=" in name for name in names):
        if not all("=" in name for name in names):
            raise TrainingError(f"--classes {text}: give a value to each name, or to none.")
        values: dict[str, list[str]] = {}
        for name, value in (entry.split("=", 1) for entry in names):
            values.setdefault(name, []).append(value)
        return values
    return names


def command_line() -> str:
    return shlex.join(["fastunet", *sys.argv[1:]])


def typed_again(
    ctx: typer.Context,  # of the command that was typed
    command: str,  # the command that comes next
    without: tuple[str, ...] = (),  # options that it gets otherwise, by their names in Python
) -> str:
    """The options that were typed and that another command takes too, for its line."""
    following = ctx.parent.command.get_command(ctx.parent, command)
    known = {p.name for p in following.params if p.param_type_name == "option"}
    known -= {"out", "overwrite", *without}
    typed = {
        name: value
        for name, value in ctx.params.items()
        if name in known and ctx.get_parameter_source(name).name == "COMMANDLINE"
    }
    return shlex.join(options(typed))


def quiet_plots() -> None:
    """Draw to files, on machines without a screen or a home folder too."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells where its own cache lies
    import matplotlib

    matplotlib.use("Agg")
