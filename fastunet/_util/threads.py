"""Work done by threads, its results in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

from fastunet._util.terminal import hide_bars

_NOT_AT_ONCE = 0.5  # seconds: what is done by then needs no bar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Cores that this process may use: by its affinity, and by the limit of its container."""
    from joblib import cpu_count  # it takes a while

    return cpu_count()


def map_in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],  # taken one by one, no earlier than needed
    threads: int,  # 0: the work is done by the caller's own thread
    ahead: int,  # results that may wait, so that memory does not grow with their number
) -> Generator[Result, None, None]:
    """The results in the order of the items. An error in one stops the rest and is raised."""
    if not threads:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def in_threads(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    label: str = "",
    progress: bool = True,  # a bar where there is a terminal, nothing in a log file
) -> Generator[Result, None, None]:
    """`map_in_order` by as many threads as there are `cores`, with a progress bar."""
    from tqdm import tqdm

    total = len(items) if isinstance(items, Sequence) else None
    hide = hide_bars() if progress and (total is None or total > 50) else True
    threads = cores()
    with closing(map_in_order(work, items, threads, ahead=8 * threads)) as results:
        yield from tqdm(results, label, total, leave=False, disable=hide, delay=_NOT_AT_ONCE)
