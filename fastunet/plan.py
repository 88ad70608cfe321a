"""What a run does, as data: each option written once, with its type, its default and its help.

`ImageMaskDataLoaders.from_pairs`, the command line and `plan.json` are made from these fields.
Light to import: neither PyTorch nor fastai.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from importlib.metadata import version
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, get_args

from fastunet._util.files import read_small, write_atomically
from fastunet._util.kinds import (
    BatchSize,
    Classes,
    Count,
    File,
    Flag,
    Fold,
    Groups,
    Kind,
    Minutes,
    Number,
    Positive,
    Rate,
    Sides,
    Split,
    Text,
    Values,
    Whole,
    checked,
    choice,
    clean_if,
)
from fastunet._util.options import Options, flat, option, types_of, unknown_options
from fastunet._util.options import takes as takes
from fastunet.choices import (
    MOST_FOLDS,
    Cache,
    Loss,
    OptimizerName,
    Orientation,
    Precision,
    Preset,
    Scaling,
    TrackingService,
    Unknown,
)
from fastunet.errors import OptionError
from fastunet.runs.contents import PLAN
from fastunet.runs.run_folder import stopped_run

Views = Annotated[
    Any,
    Kind(
        f"a preset ({', '.join(get_args(Preset))}), an Augment, or a transform of Albumentations "
        "was expected",
        clean_if(lambda value: value in get_args(Preset) or not isinstance(value, str)),
        typed=f"one of {', '.join(get_args(Preset))} was expected",
        metavar="|".join(get_args(Preset)),
    ),
]

Kept = Annotated[Cache | None, choice(Cache, or_none=True)]


def _services(value: object) -> tuple[str, ...]:
    """One name, or several."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Iterable) or not {*names} <= {*get_args(TrackingService)}:
        raise ValueError
    return tuple(dict.fromkeys(names))


Services = Annotated[
    Sequence[TrackingService],
    Kind(
        f"some of {', '.join(get_args(TrackingService))} were expected",
        _services,
        metavar="|".join(get_args(TrackingService)),
        repeats=True,
    ),
]

_DATA, _SEEN, _SPLIT = "What the data are", "What the network sees", "The split"
_NETWORK, _TRAINING = "The network", "The training"

EPOCHS = 20  # where neither epochs nor minutes are given
AUTO = "auto"  # the arch that the planner chooses


@dataclass(frozen=True)
class FileOptions(Options):
    """Where the images and masks are."""

    panel = _DATA
    data: File = option(MISSING, "Folder of images and masks, or a table.")
    images: File | None = option(None, "Folder of images, for layouts that are not recognised.")
    masks: File | None = option(
        None, "Folder of masks, by its name where there are several, or with images=."
    )
    prefix: Text | None = option(None, "What a mask's name has before the image's.")
    suffix: Text | None = option(None, "What a mask's name has behind the image's.")

    @property
    def words(self) -> tuple[Path, Path | None, Path | None, str | None, str | None]:
        """As `find_pairs` takes them."""
        return self.data, self.images, self.masks, self.prefix, self.suffix


@dataclass(frozen=True)
class MaskOptions(Options):
    """What the masks hold."""

    panel = _DATA
    classes: Classes | None = option(
        None,
        'Class names, by ascending value: "soil,weed,crop"; or with values or colours: '
        '"soil=#000000,weed=#ff0000,crop=#00ff00". A name given twice has two of them.',
    )
    void: Values | None = option(
        None, "Mask value (11) or colour (#ffffff) that does not count. May be repeated."
    )
    instances: Flag = option(False, "The masks number objects: all are the foreground.")
    unknown: Unknown = option("error", "What mask values are that classes= does not name.")


@dataclass(frozen=True)
class SplitOptions(Options):
    """Which images are trained on, which validate, and which are kept for the end."""

    panel = _SPLIT
    valid_pct: Number = option(0.2, "Share held out, where the data have no split of their own.")
    test_pct: Number = option(0.0, "Share kept for the end, where they have no test part.")
    seed: Whole = option(
        42, "Seed of the split, the weights and the augmentation.", panel=_TRAINING
    )
    groups: Groups | None = option(
        None,
        'What stays in one part: "auto" (found from the names), or a regular expression '
        "whose group is the key, such as '^(.*)_[0-9]+$'.",
    )
    folds: Count | None = option(
        None,
        "Few images: score each by a model that has not seen it, in so many parts, and train the "
        "model that is kept on all; 1: do not.",
        shown="1; some where images are few and time is not",
    )
    fold: Fold | None = option(None, "Cross-validation: 2/5 validates on the second of five parts.")
    split: Split | None = option(None, "The split.json of another run, to repeat its split.")

    def __post_init__(self):
        super().__post_init__()
        refuse_both(flat(self), "split", "fold")
        if (self.folds or 1) > MOST_FOLDS:
            raise OptionError(f"folds={self.folds}; {MOST_FOLDS} at most were expected.")
        if self.test_pct and (self.split is not None or self.fold is not None):
            raise OptionError(
                "test_pct= draws a test part, which split= and fold= do not. Name its images in "
                "split={'valid': [...], 'test': [...]}."
            )


@dataclass(frozen=True)
class InputOptions(Options):
    """How images are read, and what the network sees of them."""

    panel = _SEEN
    size: Sides | None = option(
        None, "Network input, pixels: 256, or HEIGHTxWIDTH.", shown="as the plan says"
    )
    patch: Sides | None = option(
        None, "Instead of the whole image: random patches of this size, as size=."
    )
    scale: Positive = option(1.0, "Share of the image's resolution at which patches are cut.")
    channels: Count | None = option(
        None, "Channels of the network's input.", shown="1 or 3, as the images are; or their bands"
    )
    scaling: Scaling = option(
        "auto",
        "What numbers of images of several types or ranges mean: dtype (the largest of each type "
        "is white) or percentile (they mean the same in all files).",
        panel=_DATA,
    )
    orientation: Orientation | None = option(
        None,
        "How photos are read that EXIF turns and whose masks fit both ways.",
        panel=_DATA,
        shown="found out, or asked",
    )
    augment: Views | None = option(
        None,
        "Training views: scene (it has an up and a down), free (microscopy, aerial), light, or "
        "none but the picture itself.",
        shown="free where the images have no up and down, else scene",
    )
    cache: Kept = option("auto", "Where decoded pixels are kept.")
    bs: BatchSize | None = option(
        None,
        'Batch size; "auto" measures which is the fastest that memory holds.',
        shown="16, fewer for few images or little time",
    )
    strict: Flag = option(False, "Refuse data in which the audit finds an error.", panel=_DATA)
    skip_bad: Flag = option(
        False, "Leave out, and list, pairs that cannot be read or do not fit together.", panel=_DATA
    )


@dataclass(frozen=True)
class ModelOptions(Options):
    """Which network is trained."""

    panel = _NETWORK
    arch: Text = option(
        "auto",
        '"unet" (from scratch), any timm encoder ("resnet34"; see fastunet encoders), or '
        '"fastai:resnet34", the network of fastai\'s unet_learner; "auto" takes an encoder whose '
        "weights are at hand, else unet.",
    )
    width: Count | None = option(
        None, 'Channels of "unet" at full resolution.', shown="32; on a CPU 16"
    )
    pretrained: Flag = option(True, "Start an encoder from ImageNet weights.")
    weights: File | None = option(
        None, "A file with the encoder's weights (.safetensors, .pth), instead of a download."
    )

    def __post_init__(self):
        super().__post_init__()
        if self.width is not None and self.arch not in ("unet", AUTO):
            raise OptionError(f'width={self.width} belongs to arch="unet", not to {self.arch}.')
        if self.weights is not None and self.arch in ("unet", AUTO):
            raise OptionError(
                f'weights="{self.weights}" are those of an encoder; arch="{self.arch}" has none. '
                'Name the encoder that they belong to: arch="resnet34".'
            )
        if self.weights is not None and not self.pretrained:
            raise OptionError(
                "weights= and pretrained=False were both given; one of them says how to start."
            )


@dataclass(frozen=True)
class FitOptions(Options):
    """How long and how the network is trained."""

    panel = _TRAINING
    epochs: Count | None = option(
        None, "Passes over the training part.", shown="20 to 200, by the images"
    )
    minutes: Minutes | None = option(None, "Wall-clock time of the whole command, instead.")
    lr: Rate = option(3e-3, 'Peak learning rate, or "auto" to ask lr_find.')
    lr_batches: Count = option(
        100, "Batches that lr_find takes; fewer where minutes= leaves no time.", typed=False
    )
    optimizer: OptimizerName = option(
        "adamw", "AdamW, or the cautious one, which may learn faster (benchmarks/recipe.py)."
    )
    grow_from: Positive | None = option(
        None,
        "Share of size at which views begin; they grow to all of it (progressive resizing).",
        shown="1; less where time is short",
    )
    patience: Count | None = option(
        None, "Epochs without a better one after which the training ends early.", shown="never"
    )
    loss: Loss = option(
        "combined",
        "What is minimised; combined is cross-entropy plus soft Dice (ce and dice).",
    )
    precision: Precision = option(
        "auto", "Number format of the training; auto is what is fast on the device."
    )
    compile: Flag = option(
        False,
        "Train the network compiled: a tenth to a quarter faster after a minute of compiling.",
    )
    accumulate: Count = option(
        1, "Batches whose gradients make one step, as if they were one large batch."
    )
    clip: Positive | None = option(
        None, "Largest norm of the gradients of a step; larger ones are scaled down to it."
    )
    micro_batch: Count | None = option(
        None,
        "Images that the network sees at once; a larger batch goes through it in parts.",
        shown="the batch, halved where memory is short",
    )
    checkpoint_minutes: Minutes = option(
        10, "Minutes between checkpoints, from which a run goes on; each epoch ends with one."
    )
    monitor: Text | None = option(
        None,
        'What says which epoch is the best and kept, such as "valid_loss" or "mean_iou".',
        shown="dice",
    )
    track: Services | None = option(
        None,
        "Report losses, scores and pictures of predictions to TensorBoard, Weights & Biases "
        "(offline, unless WANDB_MODE says otherwise) or MLflow. May be repeated.",
    )
    better_than: File | None = option(
        None,
        "A model that is kept unless the new one is better beyond chance, on the same held-out "
        "images. It trains on the old one's split, where that fits.",
    )
    device: Text | None = option(
        None, "Where it runs: cpu, cuda or mps.", shown="the fastest there is"
    )
    threads: Count | None = option(
        None,
        "CPU threads; as many again give the same weights again.",
        shown="all cores, or as many as others leave",
    )


GROUPS: dict[str, type[Options]] = {  # by the name of the plan's field
    "files": FileOptions,
    "mask": MaskOptions,
    "split": SplitOptions,
    "input": InputOptions,
    "model": ModelOptions,
    "fit": FitOptions,
}


# --- what contradicts itself ----------------------------------------------------------------------

_ONE_OF_TWO = {
    ("size", "patch"): "the network sees one of them",
    ("epochs", "minutes"): "one of them says how long",
    ("split", "fold"): "one of them says who validates",
    ("split", "folds"): "with folds all images are validated on in turn",
    ("fold", "folds"): "with folds all images are validated on in turn",
    ("better_than", "folds"): "the old model may have been trained on what it would be judged by",
}
_REPLACES = {  # options that an earlier plan has for another choice, by the option that is new
    "size": ("patch", "scale", "micro_batch"),
    "patch": ("size", "micro_batch", "grow_from"),
    "bs": ("micro_batch",),
    "epochs": ("minutes",),
    "minutes": ("epochs",),
    "fold": ("split", "test_pct", "folds"),
    "folds": ("split", "fold"),
    "split": ("fold", "test_pct", "folds"),
    "better_than": ("folds",),
    "arch": ("width", "weights", "micro_batch"),
    "width": ("micro_batch",),
}


def refuse_both(values: Mapping[str, Any], one: str, other: str) -> None:
    """Raise `OptionError` where both options have a value."""
    if values.get(one) is not None and values.get(other) is not None:
        raise OptionError(f"{one}= and {other}= were both given; {_ONE_OF_TWO[one, other]}.")


def refuse_contradictions(
    values: Mapping[str, Any],  # options by name; those that are left out have no value
) -> None:
    """Raise `OptionError` where options leave open what is meant."""
    some = {**values, "folds": None} if values.get("folds") == 1 else values
    for one, other in _ONE_OF_TWO:
        refuse_both(some, one, other)
    if values.get("scale", 1) != 1 and values.get("patch") is None:
        raise OptionError("scale= goes with patch=; size= sets the resolution by itself.")
    if (values.get("grow_from") or 1) != 1 and values.get("patch") is not None:
        raise OptionError("grow_from= is for whole images; patches stay as they are.")


# --- the plan -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """What the clock decided in a run of so many minutes: when epochs ended, and the schedule."""

    batches: int  # about so many an epoch, which the loader draws for
    steps: tuple[tuple[int, ...], ...]  # by epoch: each batch's place in the schedule, millionths


@dataclass(frozen=True)
class Plan:
    """All that a run is asked to do; written after it, all that was decided.

    Raises `OptionError` where options contradict each other.

    >>> plan = Plan.of(data="cells", size=128, epochs=30)
    >>> plan.save("plan.json")
    """

    files: FileOptions
    mask: MaskOptions = field(default_factory=MaskOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
    input: InputOptions = field(default_factory=InputOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    fit: FitOptions = field(default_factory=FitOptions)
    clock: Clock | None = None  # of a run of so many minutes that is to be repeated

    def __post_init__(self):
        refuse_contradictions(self.options)

    @property
    def options(self) -> dict[str, Any]:
        """Every option by its name."""
        return flat(*(getattr(self, name) for name in GROUPS))

    @classmethod
    def of(
        cls,
        clock: Clock | None = None,
        **options: Any,  # of any group, by name
    ) -> "Plan":
        """The plan with these options. Raises `OptionError` for one that does not exist."""
        known = [name for group in GROUPS.values() for name in types_of(group)]
        if unknown := sorted(options.keys() - set(known)):
            raise OptionError(unknown_options(unknown, known))
        if "data" not in options:
            raise OptionError("data= is missing: the folder of images and masks was expected.")
        made: dict[str, Any] = {
            name: group(**{key: options[key] for key in types_of(group) if key in options})
            for name, group in GROUPS.items()
        }
        return cls(**made, clock=clock)

    def but(
        self,
        **options: Any,  # that take the place of this plan's
    ) -> "Plan":
        """Another plan. An option also replaces those that go with another choice: size a patch.

        What the clock decided stays only where no option changes.
        """
        if not options:
            return self
        replaced = {name for new in options for name in _REPLACES.get(new, ())}
        kept = {name: value for name, value in self.options.items() if name not in replaced}
        return Plan.of(**kept | options)

    def from_anywhere(self) -> "Plan":
        """The same plan with whole paths, to follow it in another folder."""
        names = ("data", "split", "weights", "better_than")
        paths = {name: self.options[name] for name in names}
        whole = {n: Path(p).absolute() for n, p in paths.items() if isinstance(p, str | PathLike)}
        return Plan.of(clock=self.clock, **self.options | whole)

    # as a file

    def to_json(self) -> str:
        """Readable JSON, an option a line. Raises `OptionError` for what only Python can hold."""
        document: dict[str, Any] = {"format": FORMAT, "fastunet": version("fastunet")}
        for group in GROUPS:
            values = flat(getattr(self, group))
            document[group] = {name: _as_json(name, value) for name, value in values.items()}
        if self.clock is not None:
            document["clock"] = {"batches": self.clock.batches, "steps": self.clock.steps}
        return _lines(document) + "\n"

    @classmethod
    def from_json(
        cls,
        text: str | bytes,
        name: str = "The plan",  # of the file, in messages
    ) -> "Plan":
        """The plan that `to_json` wrote, or a person; what is left out has its default.

        Raises `OptionError` that names what is unknown or wrong, and says what was expected.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise OptionError(f"{name} is no JSON.") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise OptionError(
                f'{name} is no plan of this fastunet: "format": {FORMAT} was expected.'
            )
        known = {"format", "fastunet", "clock", *GROUPS}
        if unknown := document.keys() - known:
            raise OptionError(f"{name} has {_unknown_group(sorted(unknown))}")
        try:
            values: dict[str, Any] = {}
            for group, options in GROUPS.items():
                values |= _options_in(group, document.get(group, {}), types_of(options))
            return cls.of(clock=_clock_in(document.get("clock")), **values)
        except OptionError as error:
            raise OptionError(f"{name}: {error}") from None

    def save(self, path: str | PathLike) -> None:
        """Write it, whole or not at all."""
        write_atomically(Path(path), self.to_json().encode())

    @classmethod
    def load(cls, path: str | PathLike) -> "Plan":
        """Read it. Raises `OptionError` as `from_json` does, and where there is no such file."""
        return cls.from_json(read_small(Path(path), _MAX_BYTES, OptionError), str(path))


FORMAT = 1
_MAX_BYTES = 100_000_000  # the clock's steps are many


def plan_of_stopped(
    run: str | PathLike,  # the folder of a run that was stopped
    options: Mapping[str, Any],  # that are to be otherwise: minutes, if anything
) -> Plan:
    """By what it goes on. Raises `OptionError` where another option is to change, or no clock is.

    Raises `OutputError` where there is no such run.
    """
    if options.keys() - {"minutes"}:
        raise OptionError("resume= goes on with the run's own plan; only minutes= may change.")
    plan = Plan.load(stopped_run(Path(run)) / PLAN)
    if "minutes" in options and (plan.fit.minutes is None or plan.clock):
        raise OptionError(f"minutes=: the run in {run} does not go by the clock.")
    return plan.but(**options)


def _as_json(name: str, value: object) -> Any:
    """A value as JSON has it. Raises `OptionError` for a function and the like."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, PathLike):
        return str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _as_json(name, one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [_as_json(name, one) for one in value]
    raise OptionError(
        f"{name}={value!r} cannot be written to a plan; name it by a text or numbers."
    )


def _lines(document: Mapping[str, Any], indent: str = "") -> str:
    """JSON with a line for each entry of a mapping, and for each list."""
    entries = []
    for key, value in document.items():
        deeper = isinstance(value, Mapping) and not indent
        shown = _lines(value, " ") if deeper else json.dumps(value, ensure_ascii=False)
        entries.append(f"{indent} {json.dumps(key)}: {shown}")
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


def _unknown_group(names: Sequence[str]) -> str:
    return f"unknown entries: {', '.join(names)}; expected {', '.join(GROUPS)}."


def _options_in(group: str, given: object, known: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise OptionError(f'"{group}" is {given!r}; options by name were expected.')
    if unknown := given.keys() - known.keys():
        words = unknown_options(sorted(unknown), known.keys())
        raise OptionError(f'"{group}" has {words}; expected {", ".join(known)}.')
    return {name: checked(known[name], name, value) for name, value in given.items()}


def _clock_in(given: Any) -> Clock | None:
    if given is None:
        return None
    try:
        steps = tuple(tuple(map(int, epoch)) for epoch in given["steps"])
        return Clock(int(given["batches"]), steps)
    except (KeyError, TypeError, ValueError):
        raise OptionError(
            '"clock" is not what a run wrote; remove it to let the clock decide anew.'
        ) from None
