"""Decode once: threads, memory, disk."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from fastunet._util.threads import in_threads
from fastunet.data.cache import DiskCache, MemoryCache
from fastunet.errors import OutputError

ARRAYS = (np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.ones((2, 3), np.uint8))


def test_results_come_in_the_order_of_the_items():
    assert list(in_threads(lambda x: x * x, range(100))) == [x * x for x in range(100)]


def test_an_endless_stream_of_items_is_worked_on_a_few_at_a_time():
    taken = []

    def endless():
        for i in range(10**9):
            taken.append(i)
            yield i

    results = in_threads(lambda x: x, endless(), progress=False)
    assert [next(results) for _ in range(5)] == list(range(5))
    results.close()
    assert len(taken) < 200


def test_an_error_in_one_item_stops_the_rest():
    started = threading.Semaphore(0)

    def work(x):
        started.release()
        if x == 3:
            raise OSError("broken")
        return x

    with pytest.raises(OSError, match="broken"):
        list(in_threads(work, range(100_000)))


@pytest.fixture
def disk(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path / "cache"))
    return DiskCache


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_what_is_put_is_got(kind, disk):
    kept = MemoryCache(1000) if kind == "memory" else disk(1000)
    assert kept.get("key") is None
    assert kept.put("key", ARRAYS)
    for ours, theirs in zip(kept.get("key"), ARRAYS, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_no_more_is_kept_than_there_is_room(kind, disk):
    kept = MemoryCache(150) if kind == "memory" else disk(150)
    assert kept.put("a", ARRAYS)  # 102 bytes
    assert not kept.put("b", ARRAYS)
    assert kept.get("b") is None


def test_the_disk_keeps_them_for_the_next_run(disk):
    disk(1000).put("key", ARRAYS)
    np.testing.assert_array_equal(disk(0).get("key")[0], ARRAYS[0])


def test_what_a_full_disk_does_not_take_leaves_no_part(disk, files_of_1000_bytes):
    kept = disk(10_000)
    with pytest.raises(OutputError, match="cannot be written"):
        kept.put("key", (np.zeros(2000, np.uint8), ARRAYS[1]))
    assert [file for file in kept.folder.rglob("*") if file.is_file()] == []


def cut(file):
    file.write_bytes(file.read_bytes()[:-7])


def empty(file):
    file.write_bytes(b"")


def flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 4
    file.write_bytes(data)


def without_checksum(file):
    file.write_bytes(file.read_bytes()[:-4])


def another_shape(file):
    np.save(file, np.zeros((1, 1, 1), np.float32))


def no_array(file):
    file.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'shape': (9" + bytes(range(256)))


def a_folder(file):
    file.unlink()
    (file / "in").mkdir(parents=True)


def a_pipe(file):
    file.unlink()
    os.mkfifo(file)


DAMAGE = {
    "pipe": a_pipe,
    "cut": cut,
    "empty": empty,
    "pixel": lambda file: flip(file, -20),
    "header": lambda file: flip(file, 70),
    "magic": lambda file: flip(file, 0),
    "checksum": lambda file: flip(file, -1),
    "longer": lambda file: file.write_bytes(file.read_bytes() + bytes(16)),
    "as older": without_checksum,
    "another shape": another_shape,
    "no array": no_array,
    "folder": a_folder,
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_entry_is_as_if_it_were_not_there_and_can_be_put_again(disk, how, which):
    disk(1000).put("key", ARRAYS)
    file = next(disk(0).folder.rglob(f"key-{which}.npy"))
    DAMAGE[how](file)
    kept = disk(1000)
    assert kept.get("key") is None
    assert kept.put("key", ARRAYS)
    if how == "folder":
        assert kept.get("key") is None  # nor is the folder removed
        assert (file / "in").is_dir()
    else:
        np.testing.assert_array_equal(kept.get("key")[which], ARRAYS[which])


SPAWNS = """
import multiprocessing, sys, tempfile
from pathlib import Path
import numpy as np
from fastunet.data.cache import MemoryCache


def look(kept, answer):
    image, mask = kept.get("key")
    answer.put((image.sum().item(), mask.sum().item(), image.flags.owndata))


if __name__ == "__main__":
    tempfile.tempdir = sys.argv[1]
    kept = MemoryCache(1000)
    kept.put("key", (np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.ones((2, 3), np.uint8)))
    spawn = multiprocessing.get_context("spawn")
    answer = spawn.Queue()
    process = spawn.Process(target=look, args=(kept, answer))
    process.start()
    print(*answer.get(timeout=60))
    process.join()
    print(len(list(Path(sys.argv[1]).iterdir())))
    del kept, process
    print(len(list(Path(sys.argv[1]).iterdir())))
"""


def test_a_spawned_process_maps_the_same_file_which_goes_with_the_cache(tmp_path):
    (tmp_path / "spawns.py").write_text(SPAWNS)
    (tmp_path / "spill").mkdir()
    done = subprocess.run(
        [sys.executable, tmp_path / "spawns.py", tmp_path / "spill"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["276.0 6 False", "1", "0"], done.stderr
