"""The command line: one file per family of commands."""

from fastunet.cli.application import app as app
from fastunet.cli.application import main as main
from fastunet.cli.data_commands import audit
from fastunet.cli.model_commands import autopsy, compare, encoders, evaluate, predict
from fastunet.cli.training_commands import demo, lr_find, train

for _command in (demo, audit, train, lr_find, evaluate, autopsy, compare, predict, encoders):
    app.command()(_command)
