"""The commands that train: demo, train, lr-find."""

import gc
import logging
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fastunet._util import processes
from fastunet._util.terminal import say
from fastunet.cli.flags import Given, Replace, takes_flags
from fastunet.cli.inputs import data_files
from fastunet.errors import FastunetError, OptionError
from fastunet.plan import (
    FileOptions,
    FitOptions,
    InputOptions,
    MaskOptions,
    ModelOptions,
    Plan,
    SplitOptions,
    plan_of_stopped,
)
from fastunet.runs.contents import PLAN
from fastunet.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from fastunet.pairs.pair import PairList
    from fastunet.scan.decoded import DecodedFiles

_START_UP = 15  # seconds that Python may take to come to a command


def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("fastunet-demo"),
    seconds: Annotated[float, typer.Option(help="Time for all of it.", min=5)] = 75,
):
    """Train on built-in data and look at the results, in under two minutes.

    Draws synthetic microscopy pictures, plans and trains a U-Net, measures
    it on pictures it has not been trained on, and writes all of it to one
    folder, with a page to read. An earlier demo there is written over.
    """
    started = start_of_process()
    with _told(RunFolder.claim(out, True, command_line())) as folder:
        quiet_plots()
        from fastunet import samples, training

        data = samples.nuclei()
        say(
            "Synthetic fluorescence microscopy, drawn by fastunet: fit to try things, not to "
            "compare."
        )
        plan = Plan.of(data=data, minutes=seconds / 60)
        training.train(plan, folder, started, command_line())
    say(
        f"\nIn {out}/: report.html, results.png, history.csv, and the model (bundle.json, "
        "model.safetensors).\nOpen report.html, then type:\n"
        f"  fastunet predict {quoted(out)} {quoted(data / 'images' / '000.png')} --overlay\n"
        "  fastunet train YOUR-DATA"
    )


@takes_flags(
    FitOptions,
    ModelOptions,
    MaskOptions,
    FileOptions,
    InputOptions,
    SplitOptions,
    need_data=False,
)
def train(
    given: Given,
    out: Annotated[
        Path | None, typer.Option(help="The run folder.", show_default="runs/DATA-1, -2, ...")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            help="The plan.json of a run, to repeat it exactly. DATA and options beside it take "
            "the place of its own."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run in the --out folder.")
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="The folder of a run that was stopped: it goes on from its last checkpoint. With "
            "--minutes the rest of a run of so many minutes takes as long from now.",
        ),
    ] = None,
):
    """Train a U-Net on a folder of images and masks; write model, scores and pictures.

    The split of the data is used where it has one (train/, val/, test/).
    Scores are measured at the images' own size. The run folder's plan.json
    says all that was decided; with --plan it is done again, on a CPU bit for
    bit. A run of so many minutes is repeated batch by batch, unless an option
    changes: then the clock decides anew. A run that was stopped, however that
    came, goes on with --resume. On several GPUs or machines:
    torchrun --nproc-per-node 8 -m fastunet train cells

    Example: fastunet train cells --minutes 10 --out cells-unet
    """
    started = start_of_process()
    processes.speak_of_errors()
    processes.begin()
    if resume is not None:
        if out or plan or overwrite:
            raise OptionError(
                "--resume goes on with the run's own plan; only --minutes may change."
            )
        asked = processes.from_first(partial(plan_of_stopped, resume, given.options))
        claim: AbstractContextManager[RunFolder] = RunFolder.resume(resume)
    elif plan is None and "data" not in given.options:
        raise OptionError("DATA is missing: fastunet train DATA, or --plan with a run's plan.json.")
    else:
        asked = Plan.load(plan).but(**given.options) if plan else Plan.of(**given.options)
        claim = RunFolder.claim_for(asked.files.data, out, overwrite, command_line())
    with _on_all_processes(_told(claim)) as folder:
        if processes.is_first():
            asked.from_anywhere().save(folder.work / PLAN)
        with _reading_ahead(asked) as (pairs, files):
            quiet_plots()
            from fastunet import training
        anew = resume is None or "minutes" in given.options
        training.train(asked, folder, started, folder.command, pairs, files, anew)
    out = folder.path
    say(
        f"\nThe run is in {out}/; open its report.html. Next: fastunet predict {quoted(out)} "
        "IMAGES..."
    )


@takes_flags(
    *("seed", "precision", "device", "threads"),
    ModelOptions,
    MaskOptions,
    FileOptions,
    InputOptions,
)
def lr_find(
    given: Given,
    out: Annotated[Path, typer.Option(help="Where the curve goes, a PNG.")] = Path("lr_find.png"),
    overwrite: Replace = False,
):
    """Find a learning rate: the loss against a growing rate, as a picture.

    Take the suggestion, or a point on the steepest part of the curve:
    fastunet train DATA --lr ...
    """
    plan = Plan.of(**given.options)
    quiet_plots()
    from fastunet import from_plan
    from fastunet._util.files import make_folder
    from fastunet._util.outputs import Output, check_outputs

    check_outputs([Output(out, "the curve")], data_files(plan.files), overwrite)
    from_plan.begin(plan)
    data = from_plan.look_at(plan)
    plan, _ = from_plan.fill_in(plan, data, trains=False)
    dls = from_plan.load(plan, data)
    make_folder(out.parent)
    rate = from_plan.find_lr(from_plan.learner(plan, dls), plan.fit.lr_batches, out)
    more = given.again("train", without=("data",))
    say(f"Next: fastunet train {quoted(plan.files.data)} --lr {rate:.2g} {more}".rstrip())


# --- folders, time, pictures ----------------------------------------------------------------------


def quoted(path: Path) -> str:
    """A path as a shell reads it."""
    return shlex.quote(str(path))


def command_line() -> str:
    """What the user typed."""
    return shlex.join(["fastunet", *sys.argv[1:]])


@contextmanager
def _told(claim: AbstractContextManager[RunFolder]) -> Iterator[RunFolder]:
    """The folder of a run; what is left of one that does not come to its end is told."""
    with claim as folder:
        try:
            yield folder
        except BaseException as stop:
            if folder.can_resume or isinstance(stop, KeyboardInterrupt):
                say(f"fastunet: {folder.what_is_left()}", file=sys.stderr)
            raise


@contextmanager
def _on_all_processes(claim: AbstractContextManager[RunFolder]) -> Iterator[RunFolder]:
    """The folder of a run, held by the first process; the others know where it is."""
    if not processes.is_first():
        yield RunFolder.held_elsewhere(*processes.from_first(lambda: (Path(), Path(), "")))
        return
    with claim as folder:
        processes.from_first(lambda: (folder.path, folder.work, folder.command))
        yield folder


@contextmanager
def _reading_ahead(plan: Plan) -> Iterator[tuple["PairList | None", "DecodedFiles"]]:
    """Find the plan's pairs. Within, libraries are loaded fast, and a thread decodes the pairs.

    What is loaded is no garbage: to look for some takes a fifth of the time, now or later.
    """
    from fastunet.data.cache import room_in_memory
    from fastunet.pairs.find import find_pairs
    from fastunet.scan.ahead import reading_ahead
    from fastunet.scan.decoded import DecodedFiles

    files = DecodedFiles(room_in_memory())
    try:
        pairs = find_pairs(*plan.files.words, missing_ok=plan.input.skip_bad)
    except FastunetError:
        pairs = None  # training says it, when it has looked at the options
    gc.disable()
    try:
        with reading_ahead(pairs or (), files, test_images=plan.input.strict):
            yield pairs, files
    finally:
        gc.freeze()
        gc.enable()


def start_of_process() -> float:
    """When the command was typed, by `time.perf_counter`; now within a program that runs longer."""
    import psutil

    age = time.time() - psutil.Process().create_time()
    return time.perf_counter() - (age if 0 < age < _START_UP else 0)


def quiet_plots() -> None:
    """Draw to files, on machines without a screen or a home folder too."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells where its own cache lies
    import matplotlib

    matplotlib.use("Agg")
