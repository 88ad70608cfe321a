"""Ctrl-C waits until work that must not be cut in two is done."""

import os
import signal
import subprocess
import sys

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


TWICE = """
import os, signal
from fastunet._util.interrupts import uninterrupted
with uninterrupted(patient=False) as waiting:
    os.kill(os.getpid(), signal.SIGTERM)
    print(*waiting, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("went on")
"""


def test_a_second_one_ends_the_process_at_once_where_it_may():
    command = [sys.executable, "-c", TWICE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGTERM
    assert done.stdout.split() == [str(int(signal.SIGTERM))]
