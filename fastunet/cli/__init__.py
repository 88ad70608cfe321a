"""The command line: one file per family of commands."""

from fastunet.cli.commands import app as app
from fastunet.cli.commands import main as main
