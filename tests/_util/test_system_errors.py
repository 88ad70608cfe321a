"""What the machine refuses, in one plain line; faults of the program stay what they are."""

import errno

import cv2
import numpy as np
import pytest
import torch

from fastunet._util.system_errors import explain


def raised(work) -> BaseException:
    try:
        work()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "work",
    [
        lambda: np.empty(2**55, np.uint8),
        lambda: torch.empty(2**55, dtype=torch.uint8),
        lambda: bytearray(2**62),
    ],
)
def test_a_lack_of_memory_says_what_can_be_made_smaller(work):
    text = explain(raised(work))
    assert "not enough memory" in text
    assert "--bs" in text
    assert "\n" not in text


def test_the_system_is_quoted_with_the_file_and_what_to_do(tmp_path):
    assert explain(OSError(errno.ENOSPC, "x", "out/a.png")) == (
        "out/a.png: the disk is full; make room, or choose a place elsewhere."
    )
    missing = explain(raised(lambda: (tmp_path / "no").read_bytes()))
    assert "no: it does not exist" in missing
    assert "permission denied" in explain(PermissionError(errno.EACCES, "x", "a"))


@pytest.mark.parametrize(
    "work",
    [
        lambda: torch.zeros(2) @ torch.zeros(3),
        lambda: cv2.resize(np.zeros((3, 3), np.uint8), (0, 0)),
        lambda: {}["x"],
        lambda: None.x,
    ],
)
def test_a_fault_of_the_program_is_not_explained_away(work):
    assert explain(raised(work)) is None
