"""The commands: demo, inspect, train, lr-find, evaluate, compare, predict, encoders.

A user's mistake ends in one line and exit code 2, a bug of ours in a traceback. PyTorch and fastai
are imported by the commands that need them, so that `--help` is instant.
"""

import math
import os
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from fastunet import __version__
from fastunet._util.system_errors import explain
from fastunet._util.terminal import as_typed, hide_bars, printable, say
from fastunet.cli.inputs import bundle_files, data_files
from fastunet.cli.options import (
    Arch,
    AugmentOption,
    BatchSize,
    CacheOption,
    Classes,
    Data,
    Fold,
    Groups,
    Images,
    Instances,
    Masks,
    Monitor,
    OrientationOption,
    Overwrite,
    Patch,
    PrecisionOption,
    Prefix,
    Pretrained,
    Replace,
    Scale,
    ScalingOption,
    Seed,
    Size,
    SkipBad,
    SplitFile,
    Strict,
    Suffix,
    Unknown,
    ValidPct,
    Void,
    Weights,
    Width,
    class_names,
    command_line,
    image_reading,
    learning_rate,
    network_input,
    one_of,
    quiet_plots,
    settings_of,
    typed_again,
)
from fastunet.errors import FastunetError, TrainingError
from fastunet.runs.run_folder import RunFolder

_START_UP = 15  # seconds that Python may take to come to a command

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


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
):
    if version:
        say(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("fastunet-demo"),
    seconds: Annotated[float, typer.Option(help="Time for all of it.", min=5)] = 75,
):
    """Train on built-in data and look at the results, in under two minutes.

    Draws synthetic microscopy pictures, asks lr_find for a learning rate,
    trains a U-Net, measures it on pictures it has not been trained on, and
    writes all of it to one folder. An earlier demo there is written over.
    """
    started = _start_of_process()
    with _run_folder(out, out, overwrite=True) as folder:
        quiet_plots()
        from fastunet import samples
        from fastunet import training as run

        data = samples.nuclei()
        say(
            "Synthetic fluorescence microscopy, drawn by fastunet: fit to try things, not to "
            "compare."
        )
        settings = run.Settings(
            data, bs=8, minutes=seconds / 60, find_lr=50, command=command_line()
        )
        run.train(settings, folder, started)
    say(
        f"\nIn {out}/: results.png, lr_find.png, history.csv, and the model (bundle.json, "
        "model.safetensors).\nLook at results.png, then type:\n"
        f"  fastunet predict {_quoted(out)} {_quoted(data / 'images' / '000.png')} --overlay\n"
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
    scaling: ScalingOption = "auto",
    orientation: OrientationOption = None,
    size: Size = None,
    patch: Patch = None,
    scale: Scale = 1.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only names and headers; nothing is decoded.")
    ] = False,
    overwrite: Replace = False,
):
    """Look at every file of a data set: what it holds, and what is wrong with it.

    Broken files, masks that do not fit, stray values, duplicates across the
    split, rare classes, what is too thin for the network's size (--size or
    --patch as in train) and more, each with what to do. Nothing is changed.
    Exit code 1 when there are errors.

    Example: fastunet inspect cells --html report.html
    """
    from fastunet._util.outputs import Output, check_outputs
    from fastunet.checks.audit import audit

    if html is not None:
        read = data_files(data, images, masks, prefix, suffix)
        check_outputs([Output(html, "the page")], read, overwrite, "--html")
    report = audit(
        data, images=images, masks=masks, prefix=prefix, suffix=suffix,
        classes=class_names(classes), void=void or None, instances=instances, quick=quick,
        **image_reading(scaling, orientation), **network_input(size, patch, scale),
    )  # fmt: skip
    say(dumps(report.to_dict(), indent=2) if json else as_typed(str(report), _option_names()))
    if html is not None:
        report.to_html(html)
        if not json:
            say(f"The page with pictures is {html}.")
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
        float | None, typer.Option(help="Wall-clock time of the whole command, instead.")
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
    weights: Weights = None,
    classes: Classes = None,
    void: Void = None,
    images: Images = None,
    masks: Masks = None,
    prefix: Prefix = None,
    suffix: Suffix = None,
    instances: Instances = False,
    unknown: Unknown = "error",
    scaling: ScalingOption = "auto",
    orientation: OrientationOption = None,
    strict: Strict = False,
    skip_bad: SkipBad = False,
    augment: AugmentOption = None,
    valid_pct: ValidPct = 0.2,
    groups: Groups = None,
    fold: Fold = None,
    split: SplitFile = None,
    seed: Seed = 42,
    cache: CacheOption = "auto",
    precision: PrecisionOption = "auto",
    monitor: Monitor = None,
    overwrite: Overwrite = False,
):
    """Train a U-Net on a folder of images and masks; write model, scores and pictures.

    The split of the data is used where it has one (train/, val/, test/).
    Scores are measured at the images' own size.

    Example: fastunet train cells --minutes 10 --out cells-unet
    """
    started = _start_of_process()
    if epochs and minutes:
        raise TrainingError("--epochs and --minutes were both given; one of them says how long.")
    if minutes is not None and not 0 < minutes < math.inf:
        raise TrainingError(f"--minutes {minutes:g} leaves no time to train.")
    rate = learning_rate(lr)
    with _run_folder(out, data, overwrite) as folder:
        settings = settings_of(
            data=data, images=images, masks=masks, prefix=prefix, suffix=suffix, classes=classes,
            void=void, arch=arch, pretrained=pretrained, weights=weights, width=width, size=size,
            bs=bs, seed=seed, precision=precision, epochs=epochs, minutes=minutes, lr=rate,
            valid_pct=valid_pct, patch=patch, scale=scale, instances=instances, unknown=unknown,
            strict=strict, skip_bad=skip_bad, augment=augment, groups=groups, fold=fold,
            split=split, cache=cache, monitor=monitor, scaling=scaling, orientation=orientation,
        )  # fmt: skip
        from fastunet import training as run

        if lr == "find":
            settings = replace(settings, find_lr=run.LR_FIND_BATCHES)
        run.train(settings, folder, started)
    out = folder.path
    say(f"\nThe run is in {out}/. Next: fastunet predict {_quoted(out)} IMAGES...")


@app.command()
def lr_find(
    ctx: typer.Context,
    data: Data,
    out: Annotated[Path, typer.Option(help="Where the curve goes, a PNG.")] = Path("lr_find.png"),
    arch: Arch = "unet",
    size: Size = None,
    patch: Patch = None,
    scale: Scale = 1.0,
    bs: BatchSize = None,
    width: Width = None,
    pretrained: Pretrained = True,
    weights: Weights = None,
    classes: Classes = None,
    void: Void = None,
    images: Images = None,
    masks: Masks = None,
    prefix: Prefix = None,
    suffix: Suffix = None,
    instances: Instances = False,
    unknown: Unknown = "error",
    scaling: ScalingOption = "auto",
    orientation: OrientationOption = None,
    skip_bad: SkipBad = False,
    augment: AugmentOption = None,
    seed: Seed = 42,
    cache: CacheOption = "auto",
    precision: PrecisionOption = "auto",
    overwrite: Replace = False,
):
    """Find a learning rate: the loss against a growing rate, as a picture.

    Take the suggestion, or a point on the steepest part of the curve:
    fastunet train DATA --lr ...
    """
    settings = settings_of(
        data=data, images=images, masks=masks, prefix=prefix, suffix=suffix, classes=classes,
        void=void, arch=arch, pretrained=pretrained, weights=weights, width=width, size=size,
        bs=bs, seed=seed, precision=precision, patch=patch, scale=scale, instances=instances,
        unknown=unknown, skip_bad=skip_bad, augment=augment, cache=cache, scaling=scaling,
        orientation=orientation,
    )  # fmt: skip
    from fastai.torch_core import set_seed

    from fastunet import training as run
    from fastunet._util.files import make_folder
    from fastunet._util.outputs import Output, check_outputs

    read = data_files(data, images, masks, prefix, suffix)
    check_outputs([Output(out, "the curve")], read, overwrite)
    settings = replace(settings, find_lr=run.LR_FIND_BATCHES)
    set_seed(seed)
    dls = run.load(settings)
    make_folder(out.parent)
    rate = run.find_lr(settings, run.learner(settings, dls), out)
    more = typed_again(ctx, "train", without=("lr",))
    say(f"Next: fastunet train {_quoted(data)} --lr {rate:.2g} {more}".rstrip())


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(help="A run folder, or what save_bundle wrote.")],
    data: Data,
    split: Annotated[
        str | None,
        typer.Option(
            help="The part: train, valid, test or all.", show_default="test, or else valid, or all"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write JSON, tables and a picture to this folder.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    boundary: Annotated[
        bool, typer.Option("--boundary", help="Also measure the outlines: HD95, surface Dice.")
    ] = False,
    groups: Groups = None,
    images: Images = None,
    masks: Masks = None,
    prefix: Prefix = None,
    suffix: Suffix = None,
    skip_bad: SkipBad = False,
    overwrite: Replace = False,
):
    """Score a model on images and masks, at the images' own size.

    Dice, IoU and more for each class, with bootstrap intervals. Data without
    a split of their own that the model was trained on are split as then.
    Images of one group (--groups) are resampled together.

    Example: fastunet evaluate cells-unet cells --out cells-scores
    """
    quiet_plots()
    from fastunet._util.outputs import Output, check_outputs
    from fastunet.evaluation.evaluate import evaluate as score
    from fastunet.evaluation.serialise import files_in
    from fastunet.pairs.find import find_pairs

    if out is not None:
        read = chain(bundle_files(bundle), data_files(data, images, masks, prefix, suffix))
        planned = [Output(file, "the evaluation") for file in files_in(out)]
        check_outputs(planned, read, overwrite)
    pairs = find_pairs(data, images, masks, prefix, suffix, missing_ok=skip_bad)
    result = score(bundle, pairs, split, boundary=boundary, groups=groups, skip_bad=skip_bad)
    say(dumps(result.to_dict(), indent=2) if json else result)
    if out is not None:
        result.save(out)
        if not json:
            say(f"The evaluation is in {out}/. Compare it: fastunet compare {_quoted(out)} OTHER")


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="What fastunet evaluate --out wrote.")],
    b: Annotated[Path, typer.Argument(help="Another one, of the same images.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
):
    """Compare two evaluations of the same images: is A better than B?

    Both are scored on the same bootstrap resamples of the images.

    Example: fastunet compare scores-new scores-old
    """
    from fastunet.evaluation.compare import compare as difference
    from fastunet.evaluation.result import Evaluation

    found = difference(Evaluation.load(a), Evaluation.load(b))
    say(dumps(found.to_dict(), indent=2) if json else found)


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="A run folder, or what save_bundle wrote.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Where the masks go.")] = Path("predictions"),
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also write pictures with the classes in colour.")
    ] = False,
    values: Annotated[
        str,
        typer.Option(
            help='What pixels hold: "index" (of the class), or "original": the encoding of the '
            "masks that the model was trained on.",
        ),
    ] = "index",
    channel_files: Annotated[
        int | None,
        typer.Option(
            help="Files that make one image: x_0000.png, x_0001.png, ... are its channels.",
            show_default="as in training",
            min=1,
        ),
    ] = None,
    overwrite: Replace = False,
):
    """Segment images: OUT/<stem>.png holds each pixel's class index.

    Masks have the images' own size; a viewer shows them in the classes'
    colours. With --overlay, OUT/<stem>_overlay.png shows the classes over the
    image. What cannot be read is listed at the end; the exit code is 1 then.

    Example: fastunet predict cells-unet photos --out photo-masks
    """
    one_of("--values", values, ("index", "original"))
    from tqdm import tqdm

    from fastunet._util.outputs import check_outputs
    from fastunet.inference import Segmenter, folder
    from fastunet.io.library_messages import gathered_messages

    files, failures = folder.find_files(images)
    segmenter = Segmenter.load(bundle)
    count = channel_files or segmenter.preprocess.channel_files
    sources, incomplete = folder.group_files(files, count)
    failures += incomplete
    written = 0
    planned = folder.planned_outputs(sources, out, overlay)
    check_outputs(planned, chain(files, bundle_files(bundle)), overwrite)
    predicted = folder.predict_files(segmenter, sources, out, overlay, values)
    try:
        with gathered_messages():
            for failure in tqdm(
                predicted, "Predicting", len(sources), leave=False, disable=hide_bars()
            ):
                written += failure is None
                failures += [failure] if failure else []
    finally:
        _list_failures(failures)
    many = "s" if written != 1 else ""
    meanings = folder.legend(segmenter.codec, values)
    say(f"{written} mask{many} in {out}/; pixel values: {meanings}")
    if failures:
        raise typer.Exit(1)


@app.command()
def encoders(
    pattern: Annotated[
        str, typer.Argument(help='Such as "resnet*" or "convnext*".', show_default="all")
    ] = "*",
):
    """List the encoders that --arch takes: timm's, with size and weights.

    Strides are those of the feature maps; weights are installed (a package),
    cached, to be downloaded, or none.

    Example: fastunet encoders "efficientnet*"
    """
    from fastunet.models.timm_encoders import available_encoders

    table = available_encoders(pattern)
    say(table.to_string(index=False))


# --- files ---------------------------------------------------------------------------------------


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


@contextmanager
def _run_folder(out: Path | None, data: Path, overwrite: bool) -> Iterator[RunFolder]:
    """The folder of a run, claimed; what is left of one that does not come to its end is told."""
    name = data.stem if data.is_file() else data.resolve().name
    claim = (
        RunFolder.claim(out, overwrite, command_line())
        if out
        else RunFolder.claim_next(Path("runs"), name, command_line())
    )
    with claim as folder:
        try:
            yield folder
        except BaseException as stop:
            if folder.has_model or isinstance(stop, KeyboardInterrupt):
                say(f"fastunet: {folder.what_is_left()}", file=sys.stderr)
            raise


def _start_of_process() -> float:
    """When the command was typed, by `time.perf_counter`; now within a program that runs longer."""
    import psutil

    age = time.time() - psutil.Process().create_time()
    return time.perf_counter() - (age if 0 < age < _START_UP else 0)


# --- what a user is told -------------------------------------------------------------------------


def _list_failures(failures: list) -> None:
    if failures:
        n = len(failures)
        say(f"fastunet: error: {n} image{'s have' if n > 1 else ' has'} no mask:", file=sys.stderr)
    for failure in failures:
        say(f"  {_one_line(str(failure))}", file=sys.stderr)


def _option_names() -> set[str]:
    """Of all commands, as Python and messages spell them."""
    commands = typer.main.get_command(app).commands.values()
    return {
        param.name
        for command in commands
        for param in command.params
        if param.param_type_name == "option"
    }


def _one_line(message: str) -> str:
    text = as_typed(" ".join(line.strip() for line in message.splitlines()), _option_names())
    return printable(text)


def _stop(message: str) -> None:
    say(f"fastunet: error: {_one_line(message)}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """The entry point: what a user can mend is one line on stderr and exit code 2."""
    warnings.simplefilter("ignore")
    # contextlib stands between a caller and what `gathered_messages` decorates
    warnings.filterwarnings("default", module=r"(fastunet|contextlib)(\.|$)")
    warnings.formatwarning = lambda message, *_, **__: (
        f"fastunet: warning: {_one_line(str(message))}\n"
    )
    if hide_bars():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        with _stopped_by() as signals:
            _run()
    except (KeyboardInterrupt, SystemExit):
        if signals:
            sys.exit(128 + signals[0])
        raise
    except BrokenPipeError:  # `fastunet encoders | head`
        sys.exit(1)
    except FastunetError as error:
        _stop(str(error))
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        _stop(message)


@contextmanager
def _stopped_by() -> Iterator[list[int]]:
    """Within, Ctrl-C and SIGTERM end the command in order; a second one ends it at once."""
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number, _frame):
        received.append(number)
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise KeyboardInterrupt

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as of a job in the background
            signal.signal(number, stop)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run() -> None:
    """The command. Where its output cannot be written, Python is not to try it again at the end."""
    try:
        app()
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            raise
