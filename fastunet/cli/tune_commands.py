"""The command that searches: tune."""

from pathlib import Path
from typing import Annotated

import typer

from fastunet._util.kinds import Minutes, checked
from fastunet._util.terminal import say
from fastunet.cli.flags import Given, takes_flags
from fastunet.cli.training_commands import (
    command_line,
    quiet_plots,
    quoted,
    start_of_process,
)
from fastunet.errors import OptionError
from fastunet.plan import FileOptions, InputOptions, MaskOptions, ModelOptions, Plan, SplitOptions


@takes_flags(
    *("minutes", "epochs", "lr", "loss", "precision", "monitor", "device", "threads"),
    ModelOptions,
    MaskOptions,
    FileOptions,
    InputOptions,
    SplitOptions,
    need_data=False,
)
def tune(
    given: Given,
    trials: Annotated[
        int | None,
        typer.Option(help="Trials, at most.", min=1, show_default="as many as there is time for"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A new folder.", show_default="runs/DATA-tune-1, -2, ...")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="The folder of a search that was stopped, or is to have more time (--minutes)."
        ),
    ] = None,
):
    """Search for better options: size, network, rate, loss, augmentation.

    Many short trainings on one split, the default first; those that fall
    behind are ended early. All of it ends within --minutes (30). Options that
    are given are fixed. The best plan is for fastunet train --plan. With
    --epochs each trial has so many instead of a share of the time.

    Example: fastunet tune cells --minutes 30
    """
    started = start_of_process()
    options = dict(given.options)
    minutes = checked(Minutes | None, "minutes", options.pop("minutes", None))
    if resume is not None:
        if out or options:
            raise OptionError("--resume goes on with the search's own options and folder.")
        quiet_plots()
        from fastunet.tuning.study_folder import StudyFolder
        from fastunet.tuning.tune import run_search

        found = run_search(None, minutes, trials, StudyFolder.resume(resume), started=started)
    elif "data" not in options:
        raise OptionError("DATA is missing: fastunet tune DATA, or --resume with its folder.")
    else:
        plan = Plan.of(**options)
        quiet_plots()
        from fastunet.tuning.tune import new_folder, run_search

        claim = new_folder(plan, out)
        found = run_search(plan, minutes, trials, claim, [*options], started, command_line())
    folder = found.folder
    say(f"\n{found}")
    say(
        f"\nIn {folder}/: plan.json, trials.csv, tune.png, and the best trial's model in best/. "
        f"Next:\n  fastunet train --plan {quoted(folder / 'plan.json')} --minutes ...\n"
        f"  fastunet tune --resume {quoted(folder)} --minutes ..."
    )
