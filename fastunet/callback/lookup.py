"""The callbacks that a learner has, found by their class."""

from typing import TypeVar

from fastai.learner import Learner

CallbackT = TypeVar("CallbackT")


def find_callback(
    learn: Learner,
    kind: type[CallbackT],  # the class, or one it derives from
) -> CallbackT | None:
    """The first callback of this class among those of the learner and of its fit, if any."""
    return next((cb for cb in learn.cbs if isinstance(cb, kind)), None)
