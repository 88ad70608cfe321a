"""The command on data: audit."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from fastunet._util.terminal import say
from fastunet.cli.application import as_words
from fastunet.cli.flags import Given, Json, Replace, takes_flags
from fastunet.cli.inputs import data_files
from fastunet.plan import FileOptions, refuse_contradictions


@takes_flags(
    FileOptions,
    *("classes", "void", "instances", "scaling", "orientation", "size", "patch", "scale"),
)
def audit(
    given: Given,
    json: Json = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write the report as a page with pictures.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only names and headers; nothing is decoded.")
    ] = False,
    overwrite: Replace = False,
):
    """Look at every file of a data set: what it holds, and what is wrong with it.

    Broken files, masks that do not fit, outlier values, duplicates across the
    split, rare classes, what is too thin for the network's size (--size or
    --patch as in train) and more, each with what to do. Nothing is changed.
    Exit code 1 when there are errors.

    Example: fastunet audit cells --html report.html
    """
    refuse_contradictions(given.options)
    from fastunet._util.outputs import Output, check_outputs
    from fastunet.checks.audit import audit as look_at

    if html is not None:
        check_outputs([Output(html, "the page")], data_files(given.files), overwrite, "--html")
    options = dict(given.options)
    report = look_at(options.pop("data"), **options, quick=quick)
    say(dumps(report.to_dict(), indent=2) if json else as_words(str(report)))
    if html is not None:
        report.to_html(html)
        if not json:
            say(f"The page with pictures is {html}.")
    if not report.ok:
        raise typer.Exit(1)
