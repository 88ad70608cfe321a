"""What is typed becomes the value of an option; each mistake is one line."""

import re

import pytest

from fastunet._util.kinds import parsed
from fastunet._util.options import types_of
from fastunet._util.terminal import options
from fastunet.errors import OptionError
from fastunet.plan import GROUPS

TYPES = {name: kind for group in GROUPS.values() for name, kind in types_of(group).items()}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("size", "256", (256, 256)),
        ("patch", "192x256", (192, 256)),
        ("fold", "1/5", (0, 5)),
        ("classes", "soil, sugar beet", ["soil", "sugar beet"]),
        ("classes", "a=0,b=1,b=#ff0000", {"a": ["0"], "b": ["1", "#ff0000"]}),
        ("lr", "find", "find"),
        ("lr", "1e-3", 0.001),
        ("cache", "none", None),
        ("cache", "disk", "disk"),
        ("augment", "none", "none"),
        ("bs", "8", 8),
        ("valid_pct", "0.25", 0.25),
    ],
)
def test_text_becomes_a_value(name, text, value):
    assert parsed(TYPES[name], name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("size", "big"),
        ("size", "0"),
        ("size", "1x2x3"),
        ("fold", "6/5"),
        ("fold", "1"),
        ("classes", "a=0,b"),
        ("lr", "-1"),
        ("lr", "inf"),
        ("minutes", "nan"),
        ("epochs", "0"),
        ("bs", "2.5"),
        ("orientation", "none"),
    ],
)
def test_what_is_no_value_is_refused_by_name(name, text):
    with pytest.raises(OptionError, match=f"{name}='{re.escape(text)}': .* expected|{name}="):
        parsed(TYPES[name], name, text)


@pytest.mark.parametrize("command", ["train", "lr-find", "audit", "evaluate"])
def test_help_has_the_options_of_the_plan(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    taken = {"train": set(TYPES) - {"lr_batches", "data"}}.get(command, {"images", "suffix"})
    for name in taken:
        assert options({name: "x"})[0] in out
    assert "=." not in out  # options are named as they are typed
