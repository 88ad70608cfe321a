"""The command line: one file per family of commands."""

from fastunet.cli.application import app as app
from fastunet.cli.application import main as main
from fastunet.cli.data_commands import audit
from fastunet.cli.model_commands import autopsy, compare, encoders, evaluate, export, predict
from fastunet.cli.report_command import report
from fastunet.cli.training_commands import demo, lr_find, train
from fastunet.cli.tune_commands import tune

_COMMANDS = (
    demo,
    audit,
    train,
    tune,
    lr_find,
    evaluate,
    report,
    autopsy,
    compare,
    predict,
    export,
    encoders,
)
for _command in _COMMANDS:
    app.command()(_command)
