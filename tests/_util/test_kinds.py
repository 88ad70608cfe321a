"""Kinds of option values: what is typed becomes a value, and each mistake is one line."""

import re

import pytest

from fastunet._util.kinds import checked, kind_of, parsed, plain
from fastunet._util.options import types_of
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
        ("lr", "auto", "auto"),
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


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_option_says_what_it_expects_and_refuses_what_nothing_is(name):
    assert kind_of(TYPES[name]).expected
    assert plain(TYPES[name]) is not None
    if name not in ("split", "augment"):  # which any object may be
        with pytest.raises(OptionError, match=f"{name}="):
            checked(TYPES[name], name, object())
