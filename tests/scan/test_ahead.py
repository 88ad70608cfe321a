"""Files decoded ahead by a thread."""

import threading
import time

import pytest

from fastunet.pairs.find import find_pairs
from fastunet.scan.ahead import reading_ahead
from fastunet.scan.decoded import DecodedFiles


def wait_until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()


def test_pairs_are_decoded_within_and_no_thread_is_left_behind(write_pairs):
    root, files = write_pairs(6), DecodedFiles(10**9)
    pairs = find_pairs(root)
    before = threading.active_count()
    with reading_ahead(pairs, files):
        wait_until(lambda: files.held > 0)
    assert threading.active_count() == before
    held = files.held
    files.image(pairs[0].image_files)
    files.mask(pairs[0].mask)
    assert files.held == held  # they were there


def test_what_cannot_be_read_is_left_to_those_who_need_it(write_pairs):
    root, files = write_pairs(4), DecodedFiles(10**9)
    find_pairs(root)[0].image.write_bytes(b"no image")
    find_pairs(root)[1].mask.unlink()
    pairs = list(find_pairs(root))
    with reading_ahead(pairs, files):
        wait_until(lambda: files.held > 0)


def test_it_ends_where_there_is_no_more_room_and_when_the_block_fails(write_pairs):
    pairs = list(find_pairs(write_pairs(5)))
    files = DecodedFiles(1)
    with reading_ahead(pairs, files):
        wait_until(lambda: files.is_full)
    with (
        pytest.raises(KeyboardInterrupt),
        reading_ahead(pairs, DecodedFiles(10**9)),
    ):
        raise KeyboardInterrupt
    wait_until(lambda: "reading ahead" not in [one.name for one in threading.enumerate()])


def test_who_is_stopped_does_not_wait_for_what_is_read(write_pairs, monkeypatch):
    waiting = threading.Event()
    monkeypatch.setattr(DecodedFiles, "mask", lambda *_: waiting.wait(20))
    pairs, started = list(find_pairs(write_pairs(3))), time.monotonic()
    with pytest.raises(KeyboardInterrupt), reading_ahead(pairs, DecodedFiles(10**9)):
        raise KeyboardInterrupt
    assert time.monotonic() - started < 10
    waiting.set()
