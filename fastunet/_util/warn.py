"""Warnings that point at the user's own line, however deep in fastunet they arise."""

import sys
import warnings

from fastunet.errors import FastunetWarning

_OURS = ("fastunet", "contextlib")  # contextlib stands between a function and its decorator


def warn(message: str, category: type[FastunetWarning] = FastunetWarning) -> None:
    """As `warnings.warn`, at the nearest caller outside fastunet."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] in _OURS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
