"""Errors: one base, and the built-in that fits."""

import inspect

import pytest

from fastunet import errors

EVERY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", EVERY)
def test_each_is_caught_as_one_of_ours_or_is_a_warning(kind):
    assert issubclass(kind, errors.FastunetError | errors.FastunetWarning)
    assert inspect.getdoc(kind)


def test_a_wrong_option_is_a_value_error():
    assert issubclass(errors.OptionError, ValueError)
