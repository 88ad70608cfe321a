"""A trial training, to measure something, that leaves no trace in the learner."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from fastai.learner import Learner

from fastunet.callback.random_numbers import same_random_numbers


@contextmanager
def trial(learn: Learner) -> Iterator[None]:
    """Within, the learner may be trained; afterwards it is as before, also if it was stopped.

    That is weights and statistics, gradients, the optimizer and all random numbers.
    """
    weights = {name: value.clone() for name, value in learn.model.state_dict().items()}
    optimizer, state = learn.opt, deepcopy(learn.opt.state_dict()) if learn.opt else None
    gradients = [parameter.grad for parameter in learn.model.parameters()]
    for parameter in learn.model.parameters():
        parameter.grad = None
    with same_random_numbers(learn.dls):
        try:
            yield
        finally:
            learn.model.load_state_dict(weights)
            learn.opt = optimizer
            if optimizer is not None:
                optimizer.load_state_dict(state)
            for parameter, gradient in zip(learn.model.parameters(), gradients, strict=True):
                parameter.grad = gradient
