"""The commands: `fastunet demo`, `inspect`, `train`, `lr-find`, `predict`.

A user's mistake ends in one line and exit code 2, a bug of ours in a traceback. PyTorch and fastai
are imported by the commands that need them, so that `--help` is instant.
"""

import shlex
import sys
import warnings
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from fastunet import __version__
from fastunet.errors import FastunetError, TrainingError

app = typer.Typer(
    name="fastunet",
    help="A folder of images and masks becomes a trained U-Net.\n\n"
    "Start with: fastunet demo. Then: fastunet train DATA, where DATA has\n"
    "images/ and masks/ with equal names, or has another common layout (see\n"
    "fastunet inspect DATA, which also says what is wrong with it).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_DATA, _SPLIT, _INPUT = "What the data are", "The split", "What the network sees"

Data = Annotated[Path, typer.Argument(help="Folder of images and masks.", show_default=False)]
Images = Annotated[
    Path | None,
    typer.Option(
        help="Folder of images, if DATA has none of the known layouts.", rich_help_panel=_DATA
    ),
]
Masks = Annotated[
    Path | None, typer.Option(help="Folder of masks; goes with --images.", rich_help_panel=_DATA)
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
        '"soil=#000000,weed=#ff0000,crop=#00ff00".',
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
Arch = Annotated[str, typer.Option(help='"unet", or a torchvision encoder such as resnet34.')]
Pretrained = Annotated[bool, typer.Option(help="Start such an encoder from ImageNet weights.")]
Width = Annotated[
    int | None,
    typer.Option(help='Channels of "unet" at full resolution.', show_default="32; on a CPU 16"),
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
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a run in the --out folder.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
):
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("fastunet-demo"),
    seconds: Annotated[float, typer.Option(help="Time for training.", min=5)] = 60,
):
    """Train on built-in data and look at the results, in under two minutes.

    Draws synthetic microscopy pictures, asks lr_find for a learning rate,
    trains a U-Net, measures it on pictures it has not been trained on, and
    writes all of it to one folder. An earlier demo there is written over.
    """
    _quiet_plots()
    from fastunet import run, samples

    data = samples.nuclei()
    print(
        "Synthetic fluorescence microscopy, drawn by fastunet: fit to try things, not to compare."
    )
    settings = run.Settings(data, bs=8, minutes=seconds / 60, find_lr=50, command=_command())
    run.train(settings, out, overwrite=True)
    print(
        f"\nIn {out}/: results.png, lr_find.png, history.csv, and the model (bundle.json, "
        "model.safetensors).\nLook at results.png, then type:\n"
        f"  fastunet predict {out} {data / 'images' / '000.png'} --overlay\n"
        "  fastunet train YOUR-DATA"
    )


@app.command()
def inspect(
    data: Data,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write the report as a page with pictures.")
    ] = None,
    images: Images = None,
    masks: Masks = None,
    prefix: Prefix = None,
    suffix: Suffix = None,
    classes: Classes = None,
    void: Void = None,
    instances: Instances = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only names and headers; nothing is decoded.")
    ] = False,
):
    """Look at every file of a data set: what it holds, and what is wrong with it.

    Broken files, masks that do not fit, stray values, duplicates across the
    split, rare classes and more, each with what to do. Nothing is changed.
    Exit code 1 when there are errors.

    Example: fastunet inspect cells --html report.html
    """
    from fastunet.data.audit import audit

    report = audit(
        data, images=images, masks=masks, prefix=prefix, suffix=suffix,
        classes=_class_names(classes), void=void or None, instances=instances, quick=quick,
    )  # fmt: skip
    if html is not None:
        report.to_html(html)
    if json:
        print(dumps(report.to_dict(), indent=2))
    else:
        print(report)
        if html is not None:
            print(f"The page with pictures is {html}.")
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def train(
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder.", show_default="runs/DATA-1, -2, ..."),
    ] = None,
    arch: Arch = "unet",
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training part.", show_default="20", min=1)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Train as long as this wall-clock time, instead.")
    ] = None,
    size: Size = None,
    patch: Patch = None,
    scale: Scale = 1.0,
    bs: BatchSize = None,
    lr: Annotated[
        str | None,
        typer.Option(help='Peak learning rate, or "find" to ask lr_find.', show_default="0.003"),
    ] = None,
    width: Width = None,
    pretrained: Pretrained = True,
    classes: Classes = None,
    void: Void = None,
    images: Images = None,
    masks: Masks = None,
    prefix: Prefix = None,
    suffix: Suffix = None,
    instances: Instances = False,
    unknown: Unknown = "error",
    strict: Strict = False,
    augment: AugmentOption = None,
    valid_pct: ValidPct = 0.2,
    groups: Groups = None,
    fold: Fold = None,
    split: SplitFile = None,
    seed: Seed = 42,
    cache: CacheOption = "auto",
    precision: PrecisionOption = "auto",
    overwrite: Overwrite = False,
):
    """Train a U-Net on a folder of images and masks; write model, scores and pictures.

    The split of the data is used where it has one (train/, val/, test/).
    Scores are measured at the images' own size.

    Example: fastunet train cells --minutes 10 --out cells-unet
    """
    if epochs and minutes:
        raise TrainingError("--epochs and --minutes were both given; one of them says how long.")
    if minutes is not None and minutes <= 0:
        raise TrainingError(f"--minutes {minutes:g} leaves no time to train.")
    rate = _learning_rate(lr)
    settings = _settings(
        data=data, images=images, masks=masks, prefix=prefix, suffix=suffix, classes=classes,
        void=void, arch=arch, pretrained=pretrained, width=width, size=size, bs=bs, seed=seed,
        precision=precision, epochs=epochs, minutes=minutes, lr=rate, valid_pct=valid_pct,
        patch=patch, scale=scale, instances=instances, unknown=unknown, strict=strict,
        augment=augment, groups=groups, fold=fold, split=split, cache=cache,
    )  # fmt: skip
    from fastunet import run

    if lr == "find":
        settings = replace(settings, find_lr=run.LR_FIND_BATCHES)
    name = data.stem if data.is_file() else data.resolve().name
    out = out or _free_folder(Path("runs"), name)
    run.train(settings, out, overwrite)
    print(f"\nThe run is in {out}/. Next: fastunet predict {out} IMAGES...")


@app.command()
def lr_find(
    data: Data,
    out: Annotated[Path, typer.Option(help="Where the curve goes, a PNG.")] = Path("lr_find.png"),
    arch: Arch = "unet",
    size: Size = None,
    patch: Patch = None,
    scale: Scale = 1.0,
    bs: BatchSize = None,
    width: Width = None,
    pretrained: Pretrained = True,
    classes: Classes = None,
    void: Void = None,
    images: Images = None,
    masks: Masks = None,
    prefix: Prefix = None,
    suffix: Suffix = None,
    instances: Instances = False,
    unknown: Unknown = "error",
    augment: AugmentOption = None,
    seed: Seed = 42,
    cache: CacheOption = "auto",
    precision: PrecisionOption = "auto",
):
    """Find a learning rate: the loss against a growing rate, as a picture.

    Take the suggestion, or a point on the steepest part of the curve:
    fastunet train DATA --lr ...
    """
    settings = _settings(
        data=data, images=images, masks=masks, prefix=prefix, suffix=suffix, classes=classes,
        void=void, arch=arch, pretrained=pretrained, width=width, size=size, bs=bs, seed=seed,
        precision=precision, patch=patch, scale=scale, instances=instances, unknown=unknown,
        augment=augment, cache=cache,
    )  # fmt: skip
    import tempfile

    from fastai.torch_core import set_seed

    from fastunet import run

    settings = replace(settings, find_lr=run.LR_FIND_BATCHES)
    set_seed(seed)
    dls = run.load(settings)
    with tempfile.TemporaryDirectory() as scratch:
        learn = run.learner(settings, dls, Path(scratch))
        rate = run.find_lr(settings, learn, out)
    print(f"Next: fastunet train {data} --lr {rate:.2g}")


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="A run folder, or what save_bundle wrote.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Where the masks go.")] = Path("predictions"),
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also write pictures with the classes in colour.")
    ] = False,
):
    """Segment images: OUT/<stem>.png holds each pixel's class index.

    Masks have the images' own size. With --overlay, OUT/<stem>_overlay.png
    shows the classes over the image. x_0000.png, x_0001.png, ... are the
    channels of one image, x.
    """
    import cv2
    from tqdm import tqdm

    from fastunet.data.show import overlay as draw
    from fastunet.files import write_atomically
    from fastunet.inference import Segmenter

    sources = _image_files(images)
    segmenter = Segmenter.load(bundle)
    out.mkdir(parents=True, exist_ok=True)

    def write(name: str, pixels) -> None:
        write_atomically(out / name, cv2.imencode(".png", pixels)[1].tobytes())

    for name, files in tqdm(sources.items(), "Predicting", leave=False, disable=None):
        mask = segmenter.predict(files)
        write(f"{name}.png", mask)
        if overlay:
            pixels = segmenter.preprocess.prepare(files)
            write(f"{name}_overlay.png", draw(pixels, mask, segmenter.codec)[..., ::-1])
    legend = ", ".join(f"{i} = {name}" for i, name in enumerate(segmenter.classes))
    many = "s" if len(sources) != 1 else ""
    print(f"{len(sources)} mask{many} in {out}/; class indices: {legend}")


# --- what a user types, as values ---------------------------------------------------------------


def _settings(
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
    fold: str | None = None,
    **rest,
):
    """`run.Settings` of the options that commands share; mistakes are found before the imports."""
    if size and patch:
        raise TrainingError("--size and --patch were both given; the network sees one of them.")
    if scale <= 0:
        raise TrainingError(f"--scale {scale:g}: a number above 0, such as 0.5, was expected.")
    if scale != 1 and not patch:
        raise TrainingError("--scale goes with --patch; --size sets the resolution by itself.")
    kept = _one_of("--cache", cache, ("auto", "ram", "disk", "none"))
    read = {
        "classes": _class_names(classes),
        "void": void or None,
        "size": _size("--size", size),
        "patch": _size("--patch", patch),
        "scale": scale,
        "precision": _one_of("--precision", precision, ("auto", "bf16", "fp16", "fp32")),
        "unknown": _one_of("--unknown", unknown, ("error", "void")),
        "augment": augment and _one_of("--augment", augment, ("scene", "free", "light", "none")),
        "cache": None if kept == "none" else kept,
        "fold": _fold(fold),
    }
    _quiet_plots()
    from fastunet.run import Settings

    return Settings(**read, **rest, command=_command())


def _one_of(option: str, text: str, choices: tuple[str, ...]) -> str:
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


def _learning_rate(text: str | None) -> float | None:
    if text in (None, "find"):
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if rate <= 0:
        raise TrainingError(f'--lr {text}: a rate above 0, such as 0.003, or "find" was expected.')
    return rate


def _class_names(text: str | None) -> list[str] | dict[str, str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if any("=" in name for name in names):
        if not all("=" in name for name in names):
            raise TrainingError(f"--classes {text}: give a value to each name, or to none.")
        return dict(name.split("=", 1) for name in names)
    return names


def _image_files(paths: list[Path]) -> dict[str, tuple[Path, ...]]:
    """The file or channel files of each image, by the name that its mask gets."""
    from fastunet.data.matching import EXTENSIONS, channel_sets

    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(f for f in path.iterdir() if f.suffix.lower() in EXTENSIONS)
            if not inside:
                raise FastunetError(f"{path} holds no images.")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise FastunetError(f"{path} does not exist.")
    return channel_sets(dict.fromkeys(files))


def _free_folder(parent: Path, name: str) -> Path:
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def _command() -> str:
    return shlex.join(["fastunet", *sys.argv[1:]])


def _quiet_plots() -> None:
    """Draw to files, on machines without a screen too."""
    import matplotlib

    matplotlib.use("Agg")


def main() -> None:
    """The entry point: a user's mistakes become one line on stderr and exit code 2."""
    warnings.simplefilter("ignore")
    warnings.filterwarnings("default", module=r"fastunet(\.|$)")
    warnings.formatwarning = lambda message, *_, **__: f"fastunet: warning: {message}\n"
    try:
        app()
    except FastunetError as error:
        print(f"fastunet: error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
