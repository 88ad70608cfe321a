"""The flags of commands."""

import pytest

from fastunet._util.options import types_of
from fastunet._util.terminal import options
from fastunet.plan import GROUPS

TYPES = {name: kind for group in GROUPS.values() for name, kind in types_of(group).items()}


@pytest.mark.parametrize("command", ["train", "lr-find", "audit", "evaluate"])
def test_help_has_the_options_of_the_plan(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    taken = {"train": set(TYPES) - {"lr_batches", "data"}}.get(command, {"images", "suffix"})
    for name in taken:
        assert options({name: "x"})[0] in out
    assert "=." not in out  # options are named as they are typed
