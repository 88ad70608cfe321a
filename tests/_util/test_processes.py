import subprocess
import sys

import pytest

from fastunet._util import processes


def test_without_a_launcher_there_is_one_process_that_agrees_with_itself():
    assert processes.is_first()
    assert processes.count() == processes.launched() == processes.on_this_machine() == 1
    assert processes.from_first(lambda: "mine") == processes.result_of_first(lambda: "mine")
    assert processes.highest(15) == 15
    assert processes.clock() < processes.clock()
    assert not processes.was_left(RuntimeError("Connection closed by peer"))


def test_without_a_launcher_nothing_is_loaded():
    code = (
        "import sys; from fastunet._util import processes; processes.begin(); processes.end(); "
        "processes.from_first(int); print({'torch', 'accelerate'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("of", [1, 2, 3, 4, 8])
def test_the_parts_of_a_batch_are_all_of_it_in_its_order(of):
    for size in range(20):
        images = list(range(size))
        parts = [images[processes.part_of(size, number, of)] for number in range(of)]
        assert [image for part in parts for image in part] == images
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
