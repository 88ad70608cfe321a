"""The number of threads that is fastest is taken."""

import pytest
import torch

from fastunet import cpu_threads
from fastunet.cpu_threads import fastest_threads


@pytest.mark.parametrize(
    ("speed", "fastest"),
    [
        ({1: 10, 2: 19, 4: 36}, 4),  # a machine of its own
        ({1: 10, 2: 4, 4: 2}, 1),  # others keep it busy
        ({1: 10, 2: 15, 4: 9}, 2),
    ],
)
def test_it_is_measured(monkeypatch, speed, fastest):
    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setattr(cpu_threads, "_steps", lambda: speed[set_to[-1]])
    assert fastest_threads(4) == fastest
    assert set_to[-1] == torch.get_num_threads()  # as before


def test_convolutions_are_counted():
    assert cpu_threads._steps() > 0
