"""Decode once, with all cores: work done by threads under a progress bar, and kept in memory."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psutil

Item = TypeVar("Item")
Result = TypeVar("Result")

MEMORY_SHARE = 0.4  # of the memory that is free now, at most


def in_threads(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    label: str = "",
    progress: bool = True,  # a bar where there is a terminal, nothing in a log file
) -> Iterator[Result]:
    """The results in the order of the items. An error in one stops the rest and is raised."""
    from tqdm import tqdm

    hide = None if progress and len(items) > 50 else True
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            results = pool.map(work, items)
            yield from tqdm(results, label, len(items), leave=False, disable=hide)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def fits_in_memory(
    bytes_each: int,  # of one decoded item
    count: int,
) -> bool:
    """Whether `count` items may be kept without taking more than `MEMORY_SHARE` of what is free."""
    return bytes_each * count < MEMORY_SHARE * psutil.virtual_memory().available
