"""What a search tries: values of each option around the default, which stands first."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from fastunet.choices import Preset
from fastunet.models.build import default_width
from fastunet.models.pretrained import weights_at_hand
from fastunet.plan import Plan

if TYPE_CHECKING:
    from optuna import Trial

Values = dict[str, Any]  # of the options that are searched, by name

_NETWORK = "network"  # what arch and width say together
_WIDTH = " width "
_ENCODERS = (
    "resnet34",
    "efficientnet_b0",
    "convnext_tiny",
    "resnet18",
    "mobilenetv3_large_100",
    "tf_efficientnet_lite0",
)
_SIZES = (1, 1.5, 2, 0.75)  # times the default; the second is the first to be tried
_STEP = 32  # pixels: sizes are multiples
_LOSSES = ("combined", "dice", "ce", "focal_tversky", "lovasz")
_AUGMENT = ("scene", "free", "light", "none")
_LEAST, _MOST = 0.1, 10  # times the default learning rate
_FASTER = 3  # times the default rate: the first other one to be tried


def search_space(
    default: Plan,  # with all that was decided
    fixed: Sequence[str],  # options that the user chose
    longest: int,  # pixels: images have about so long a side
) -> dict[str, list]:
    """The values of each option that is searched, the default first; of "lr" a range beside it.

    Options that the user chose are left out. Encoders are those whose pretrained weights are on
    this machine: none starts at random, and nothing is downloaded.
    """
    space: dict[str, list] = {}
    if not {"size", "patch"} & {*fixed} and default.input.size is not None:
        side = default.input.size[0]
        sides = [round(side * factor / _STEP) * _STEP or _STEP for factor in _SIZES[1:]]
        space["size"] = [side, *(one for one in sides if one <= max(longest, side))]
    networks = _networks(default, fixed)
    if networks:
        space[_NETWORK] = networks
    if "lr" not in fixed:
        rate = float(default.fit.lr)
        space["lr"] = [rate, rate * _LEAST, rate * _MOST]
    if "loss" not in fixed:
        space["loss"] = [*_LOSSES]
    if "augment" not in fixed:
        assert {*_AUGMENT} == {*get_args(Preset)}
        space["augment"] = [*_AUGMENT]
    return {name: [*dict.fromkeys(values)] for name, values in space.items() if len(values) > 1}


def _networks(default: Plan, fixed: Sequence[str]) -> list[str]:
    """The default, then encoders with weights at hand, then the scratch U-Net."""
    model = default.model
    if {"width", "weights"} & {*fixed} or ("arch" in fixed and model.arch != "unet"):
        return []
    width = model.width or default_width(default.fit.device or "cpu")
    scratch = [f"unet{_WIDTH}{one}" for one in (width, 2 * width, max(1, width // 2))]
    if {"arch", "pretrained"} & {*fixed}:
        return scratch
    at_hand = [one for one in _ENCODERS if weights_at_hand(one) in ("installed", "cached")]
    if model.arch == "unet":
        return [scratch[0], *at_hand, *scratch[1:]]
    return [model.arch, *(one for one in at_hand if one != model.arch), *scratch]


def as_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a trial as options of a plan."""
    options = dict(values)
    network = options.pop(_NETWORK, None)
    if network is not None:
        arch, _, width = network.partition(_WIDTH)
        options |= {"arch": arch} | ({"width": int(width)} if width else {})
    return options


def default_of(space: Mapping[str, Sequence]) -> Values:
    """The values of the default plan."""
    return {name: values[0] for name, values in space.items()}


def first_guesses(space: Mapping[str, Sequence]) -> list[Values]:
    """What is tried before anything is known: the default, then one change to it at a time."""
    default = default_of(space)
    changes = [(name, values[1]) for name, values in space.items() if name not in ("lr", "loss")]
    if "lr" in space:
        changes.append(("lr", _FASTER * default["lr"]))
    return [default, *(default | {name: value} for name, value in changes)]


def suggested(trial: "Trial", space: Mapping[str, Sequence]) -> Values:
    """What the sampler wants to be tried."""
    return {
        name: trial.suggest_float(name, values[1], values[2], log=True)
        if name == "lr"
        else trial.suggest_categorical(name, values)
        for name, values in space.items()
    }


def differences(values: Mapping[str, Any], default: Mapping[str, Any]) -> str:
    """What a trial does otherwise than the default, in words."""
    said = [f"{name} {_short(value)}" for name, value in values.items() if value != default[name]]
    return ", ".join(said) or "the default"


def _short(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
