"""Work done by threads comes back in order, and no more of it is done than is asked for."""

import os
import subprocess
import sys
import threading
import time

import pytest

from fastunet._util.threads import cores, in_threads, map_in_order


def slower_at_first(number: int) -> int:
    time.sleep(0.002 * (5 - number % 5))
    return number


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_results_come_in_the_order_of_the_items(threads):
    assert list(map_in_order(slower_at_first, range(40), threads, ahead=8)) == [*range(40)]


def test_items_are_taken_no_earlier_than_needed():
    taken = []
    items = (taken.append(number) or number for number in range(1000))
    results = map_in_order(int, items, threads=2, ahead=4)
    for number in range(10):
        assert next(results) == number
        assert len(taken) <= number + 5
    results.close()


@pytest.mark.parametrize("end", ["closed", "failed"])
def test_work_that_nobody_waits_for_is_given_up(end):
    started, done = [], threading.Event()

    def work(number: int) -> int:
        started.append(number)
        if number == 3 and end == "failed":
            raise ValueError("the fourth")
        done.wait(0.01)
        return number

    results = map_in_order(work, range(1000), threads=2, ahead=100)
    if end == "closed":
        next(results)
        results.close()
    else:
        with pytest.raises(ValueError, match="the fourth"):
            list(results)
    assert len(started) < 100
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def test_as_many_threads_as_cores_do_the_work_of_any_iterable():
    assert list(in_threads(str, iter(range(300)))) == [str(number) for number in range(300)]
    results = in_threads(slower_at_first, range(300), "Counting")
    assert next(results) == 0
    results.close()
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="there is no affinity here")
def test_cores_are_those_that_the_process_may_use():
    assert 1 <= cores() <= (os.cpu_count() or 1)
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
    code += "from fastunet._util.threads import cores; print(cores())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"
