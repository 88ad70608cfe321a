"""The commands on a trained model: evaluate, autopsy, compare, predict; and those for encoders."""

import sys
from itertools import chain
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import typer

from fastunet._util.kinds import parsed
from fastunet._util.terminal import hide_bars, say
from fastunet.cli.application import as_words, one_line
from fastunet.cli.flags import Given, Json, Replace, takes_flags
from fastunet.cli.inputs import bundle_files, data_files
from fastunet.cli.training_commands import quiet_plots, quoted
from fastunet.errors import OptionError
from fastunet.plan import FileOptions
from fastunet.runs.contents import BUNDLE_JSON

Bundle = Annotated[Path, typer.Argument(help="A run folder, or what save_bundle wrote.")]


@takes_flags(FileOptions, "groups", "skip_bad")
def evaluate(
    bundle: Bundle,
    given: Given,
    split: Annotated[
        str | None,
        typer.Option(
            help="The part: train, valid, test or all.", show_default="test, or else valid, or all"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write JSON, tables and a picture to this folder.")
    ] = None,
    json: Json = False,
    boundary: Annotated[
        bool, typer.Option("--boundary", help="Also measure the outlines: HD95, surface Dice.")
    ] = False,
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

    files, options = given.files, given.options
    if out is not None:
        read = chain(bundle_files(bundle), data_files(files))
        planned = [Output(file, "the evaluation") for file in files_in(out)]
        check_outputs(planned, read, overwrite)
    how = {name: options[name] for name in ("groups", "skip_bad") if name in options}
    pairs = find_pairs(*files.words, missing_ok=how.get("skip_bad", False))
    result = score(bundle, pairs, split, boundary=boundary, **how)
    say(dumps(result.to_dict(), indent=2) if json else result)
    if out is not None:
        result.save(out)
        if not json:
            say(f"The evaluation is in {out}/. Compare it: fastunet compare {quoted(out)} OTHER")


def autopsy(
    run: Bundle,
    data: Annotated[
        Path | None, typer.Option(help="The data folder, where it has moved.", show_default=False)
    ] = None,
    json: Json = False,
):
    """Ask of a finished run why its masks are bad, or black.

    Looks at data, codec, learning rate, threshold, the network's size and the
    length of the training. The most likely cause comes first, each with one
    thing to try.

    Example: fastunet autopsy runs/cells-1
    """
    from fastunet.causes.autopsy import autopsy as look_at

    found = look_at(run, data)
    say(dumps(found.to_dict(), indent=2) if json else as_words(str(found)))


def compare(
    a: Annotated[Path, typer.Argument(help="What fastunet evaluate --out wrote.")],
    b: Annotated[Path, typer.Argument(help="Another one, of the same images.")],
    json: Json = False,
):
    """Compare two evaluations of the same images, to say whether A is better than B.

    Both are scored on the same bootstrap resamples of the images.

    Example: fastunet compare scores-new scores-old
    """
    from fastunet.evaluation.compare import compare as difference
    from fastunet.evaluation.result import Evaluation

    found = difference(Evaluation.load(a), Evaluation.load(b))
    say(dumps(found.to_dict(), indent=2) if json else found)


def predict(
    bundle: Bundle,
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
    encoding = parsed(Literal["index", "original"], "values", values)
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
    predicted = folder.predict_files(segmenter, sources, out, overlay, encoding)
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
    meanings = folder.legend(segmenter.codec, encoding)
    say(f"{written} mask{many} in {out}/; pixel values: {meanings}")
    if failures:
        raise typer.Exit(1)


def export(
    run: Annotated[
        Path, typer.Argument(help="A run folder; the run may be finished, go on, or be stopped.")
    ],
    out: Annotated[Path, typer.Option(help="The folder of the bundle.")],
    best: Annotated[
        bool, typer.Option("--best", help="Take the best epoch so far, as without --epoch.")
    ] = False,
    epoch: Annotated[
        int | None,
        typer.Option(
            help="Take this epoch, as history.csv counts them; a run that is not finished has "
            "checkpoints of the last two and of the best.",
            min=0,
        ),
    ] = None,
    overwrite: Replace = False,
):
    """Make a bundle of any checkpoint of a run.

    Example: fastunet export cells-unet --best --out cells-so-far
    """
    from fastunet._util.outputs import Output, check_outputs
    from fastunet.callback.checkpoint_file import bundle_of

    if best and epoch is not None:
        raise OptionError("--best and --epoch were both given; one of them says which epoch.")
    check_outputs([Output(out / BUNDLE_JSON, "the bundle")], bundle_files(run), overwrite)
    bundle_of(run, epoch).save(out)
    say(f"The bundle is in {out}/. Next: fastunet predict {quoted(out)} IMAGES...")


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


def _list_failures(failures: list) -> None:
    if failures:
        n = len(failures)
        say(f"fastunet: error: {n} image{'s have' if n > 1 else ' has'} no mask:", file=sys.stderr)
    for failure in failures:
        say(f"  {one_line(str(failure))}", file=sys.stderr)
