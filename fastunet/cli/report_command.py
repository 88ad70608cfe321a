"""The command that makes the page of a run again: report."""

from pathlib import Path
from typing import Annotated

import typer

from fastunet._util.terminal import say


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    data: Annotated[
        Path | None, typer.Option(help="The data folder, where it has moved.", show_default=False)
    ] = None,
):
    """Write RUN/report.html again: one page with scores, pictures, what to do.

    The page needs nothing beside it: send it, print it, read it on a phone.

    Example: fastunet report runs/cells-1
    """
    from fastunet.report.page import report as write

    say(f"The report is in {write(run, data)}")
