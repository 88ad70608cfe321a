"""Work that Ctrl-C and SIGTERM must not cut in two."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def uninterrupted(
    patient: bool = True,  # else a second signal ends the process at once
) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM wait until the block has ended. Yields those that wait."""
    waiting: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # others are not interrupted
        yield waiting
        return
    before: dict[int, Any] = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
    }
    # those of a job in the background are ignored, and stay so
    before = {number: how for number, how in before.items() if how is not signal.SIG_IGN}

    def wait(number, _frame) -> None:
        waiting.append(number)
        if not patient:
            _set(dict.fromkeys(before, signal.SIG_DFL))

    _set(dict.fromkeys(before, wait))
    try:
        yield waiting
    finally:
        _set(before)
        if waiting:
            signal.raise_signal(waiting[0])


def _set(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
