"""Ctrl-C waits until work that must not be cut in two is done."""

import os
import signal

from fastunet._util.interrupts import uninterrupted


def test_an_interrupt_waits_until_the_block_has_ended():
    seen = []
    try:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            seen.append("went on")
    except KeyboardInterrupt:
        seen.append("stopped")
    assert seen == ["went on", "stopped"]
