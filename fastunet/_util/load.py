"""What other programs do on this machine meanwhile."""

import time

import psutil


class OtherPrograms:
    """How many cores other programs have kept busy since this was made."""

    def __init__(self):
        self._start, self._at = _busy_seconds(), time.perf_counter()

    def cores(self) -> float:
        """Their mean; 0.5 is half a core."""
        passed = time.perf_counter() - self._at
        return max(0.0, _busy_seconds() - self._start) / passed if passed else 0.0


def _busy_seconds() -> float:
    """Seconds of processors that others than this process have used since the machine started."""
    system = psutil.cpu_times()
    idle = system.idle + getattr(system, "iowait", 0.0) + getattr(system, "guest", 0.0)
    total = sum(system) - getattr(system, "guest_nice", 0.0)
    own = psutil.Process().cpu_times()
    return total - idle - own.user - own.system
