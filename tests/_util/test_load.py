"""What other programs do is told from what this one does."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from fastunet._util import load
from fastunet._util.load import OtherPrograms


def test_a_program_beside_is_seen():
    others = OtherPrograms()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        time.sleep(2)
        seen = others.cores()
        busy.kill()
    assert seen > 0.2  # of a core, which it may have to share


def test_the_time_of_this_process_is_no_others(monkeypatch):
    clock = {"now": 0.0, "user": 10.0, "idle": 5.0, "own": 1.0}

    class Times(tuple):
        user, idle = property(lambda self: self[0]), property(lambda self: self[1])

    def process():
        return SimpleNamespace(cpu_times=lambda: SimpleNamespace(user=clock["own"], system=0.0))

    monkeypatch.setattr(load.time, "perf_counter", lambda: clock["now"])
    monkeypatch.setattr(load.psutil, "cpu_times", lambda: Times((clock["user"], clock["idle"])))
    monkeypatch.setattr(load.psutil, "Process", process)
    others = OtherPrograms()
    assert others.cores() == 0
    clock.update(now=4.0, user=17.0, idle=6.0, own=5.0)  # 7 s of work, 4 of them its own
    assert others.cores() == pytest.approx(0.75)
