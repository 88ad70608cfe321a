"""Work done by threads, its results in order, with one progress bar."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fastunet._util.terminal import hide_bars

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    label: str = "",
    progress: bool = True,  # a bar where there is a terminal, nothing in a log file
) -> Generator[Result, None, None]:
    """The results in the order of the items. An error in one stops the rest and is raised.

    No more than a few results wait at a time, so memory does not grow with their number.
    """
    from tqdm import tqdm

    total = len(items) if isinstance(items, Sequence) else None
    hide = hide_bars() if progress and (total is None or total > 50) else True
    threads = os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        with tqdm(desc=label, total=total, leave=False, disable=hide) as bar:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 8 * threads:
                    yield waiting.popleft().result()
                    bar.update()
            while waiting:
                yield waiting.popleft().result()
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
