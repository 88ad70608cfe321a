"""Functions that take groups of options by keyword."""

import inspect

import pytest

from fastunet._util.options import takes
from fastunet.errors import OptionError
from fastunet.plan import InputOptions, MaskOptions, SplitOptions


@takes(held=MaskOptions, parts=SplitOptions, seen=InputOptions)
def read(path, *, held, parts, seen, device=None):
    """Read."""
    return path, held, parts, seen, device


def test_a_function_takes_the_options_by_name():
    path, held, parts, seen, device = read("cells", void=9, seed=1, size=64, device="cpu")
    assert (path, device) == ("cells", "cpu")
    assert (held.void, parts.seed, seen.size, seen.scale) == (9, 1, (64, 64), 1.0)
    parameters = inspect.signature(read).parameters
    assert parameters["valid_pct"].default == 0.2
    assert "held" not in parameters
    assert "void: Mask value" in read.__doc__


def test_an_option_that_does_not_exist_names_near_ones():
    with pytest.raises(TypeError, match=r"'clases' \(did you mean classes\?\), 'x'"):
        read("cells", clases=["a"], x=1)
    with pytest.raises(OptionError, match="size='64'"):
        read("cells", size="64")


def test_a_class_is_no_option():
    class Reader:
        @classmethod
        @takes(held=MaskOptions)
        def read(cls, *, held):
            """Read."""

    with pytest.raises(TypeError, match=r"'clases' \(did you mean classes\?\)"):
        Reader.read(clases=["a"])
