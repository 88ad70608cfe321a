"""The options of a network: written once, as the parameters of its constructor."""

from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from torch import nn

from fastunet.errors import ArchitectureError

# the type of a parameter -> what is expected of its value, and whether a value is that
_RULES: dict[object, tuple[str, Callable[[Any], bool]]] = {
    int: ("a whole number from 1 on", lambda value: isinstance(value, int) and value >= 1),
    float: (
        "a share from 0 to below 1",
        lambda value: isinstance(value, int | float) and 0 <= value < 1,
    ),
    bool: ("True or False", lambda value: isinstance(value, bool)),
}


def checked_options(
    network: type[nn.Module],
    given: Mapping[str, object],  # the `locals()` of its constructor
) -> dict[str, Any]:
    """The arguments that a network is built with, by name, in the order of its parameters.

    Raises `ArchitectureError` where a number or a switch has a value that it cannot have.
    """
    types = get_type_hints(network.__init__)
    options = {name: given[name] for name in types if name in given}
    for name, value in options.items():
        expected, fits = _RULES.get(types[name], ("", lambda _: True))
        if not fits(value):
            raise ArchitectureError(
                f"{network.__name__}'s {name} is {value!r}; {expected} was expected."
            )
    return options
