"""The application: its commands are functions; a user's mistake is one line and exit code 2.

A bug of ours ends in a traceback.
"""

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from fastunet import __version__
from fastunet._util import processes
from fastunet._util.system_errors import explain
from fastunet._util.terminal import as_typed, hide_bars, printable, say
from fastunet.errors import FastunetError, FastunetWarning

app = typer.Typer(
    name="fastunet",
    help="A folder of images and masks becomes a trained U-Net.\n\n"
    "Start with: fastunet demo. Then: fastunet train DATA, where DATA has\n"
    "images/ and masks/ with equal names, or has another common layout (see\n"
    "fastunet audit DATA, which also says what is wrong with it).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
):
    if version:
        say(__version__)
        raise typer.Exit
    if processes.launched() > 1 and context.invoked_subcommand != "train":
        raise FastunetError(
            f"{processes.launched()} processes were started, and only fastunet train shares its "
            "work among them. Start this command without a launcher."
        )


def main() -> None:
    """The entry point: what a user can mend is one line on stderr and exit code 2."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("default", FastunetWarning)
    warnings.formatwarning = lambda message, *_, **__: (
        f"fastunet: warning: {one_line(str(message))}\n"
    )
    if not processes.is_first():
        processes.silence()
    if hide_bars():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        with _stopped_by() as signals:
            _run()
    except (KeyboardInterrupt, SystemExit):
        if signals:
            exec("")  # else Python, stopped in an `exec` (a dataclass has some), ends by SIGINT
            sys.exit(128 + signals[0])
        raise
    except BrokenPipeError:  # `fastunet encoders | head`
        sys.exit(1)
    except FastunetError as error:
        _stop(str(error))
    except Exception as error:
        if processes.was_left(error):
            _stop("Another process of this run has ended, and so it cannot go on.")
        message = explain(error)
        if message is None:
            processes.speak_of_errors()
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


def as_words(text: str) -> str:
    """A text that names options as Python writes them, with the options as they are typed."""
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined] # a group
    params = [param for command in commands for param in command.params]
    return as_typed(text, {p.name for p in params if p.param_type_name == "option"})


def one_line(message: str) -> str:
    """A message on one line, as it is typed and printable."""
    return printable(as_words(" ".join(line.strip() for line in message.splitlines())))


def _stop(message: str) -> None:
    if processes.first_to_tell():
        say(f"fastunet: error: {one_line(message)}", file=sys.stderr)
    sys.exit(2)
