"""How many threads PyTorch should take on a CPU that other programs use too."""

import time

import torch
from torch.nn.functional import conv2d

_ROUNDS, _SECONDS = 3, 0.1  # of each number of threads


def fastest_threads(
    most: int,  # that may be taken
) -> int:
    """How many threads are fastest now, by some tenths of a second of convolutions with each.

    All threads of a convolution wait for the slowest. Where another program keeps a core busy, that
    is the one that waits for its turn on it, and fewer threads may be several times as fast.
    """
    before = torch.get_num_threads()
    numbers = [most]
    while numbers[-1] > 1:
        numbers.append(numbers[-1] // 2)
    steps = dict.fromkeys(numbers, 0)
    try:
        for _ in range(_ROUNDS):
            for number in numbers:
                torch.set_num_threads(number)
                steps[number] += _steps()
    finally:
        torch.set_num_threads(before)
    return max(numbers, key=steps.__getitem__)


@torch.no_grad()
def _steps() -> int:
    """Convolutions in a tenth of a second."""
    pixels = torch.ones(4, 32, 64, 64).contiguous(memory_format=torch.channels_last)
    kernel = torch.ones(32, 32, 3, 3).contiguous(memory_format=torch.channels_last)
    conv2d(pixels, kernel)  # the first one is slower
    end, count = time.perf_counter() + _SECONDS, 0
    while time.perf_counter() < end:
        conv2d(pixels, kernel)
        count += 1
    return count
