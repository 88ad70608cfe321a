"""Checkpoints on disk: one that is not whole is never taken for a good one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fastunet.callback.checkpoint_file import file_name, files_in, newest, packed, read, write
from fastunet.errors import TrainingError

STATE = {
    "weights": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(0)},
    "losses": [torch.tensor(0.25), torch.tensor(0.5)],
    "rates": [0.1, float("nan"), 1e-300],
    "mixed": [None, True, "text", 2, [3, 4]],
    "state": {0: {"step": 7}},
}


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / "c", STATE)
    read_back = read(tmp_path / "c")
    assert read_back.pop("format") == 1
    assert read_back.pop("mixed") == STATE["mixed"]
    expected = {name: value for name, value in STATE.items() if name != "mixed"}
    torch.testing.assert_close(read_back, expected, rtol=0, atol=0, equal_nan=True)


def test_tensors_are_plain_and_numbers_python_s(tmp_path):
    write(tmp_path / "c", {"rate": np.float32(0.1), "keys": np.arange(3), "steps": (1, 2)})
    assert read(tmp_path / "c") == {
        "format": 1,
        "rate": float(np.float32(0.1)),
        "keys": [0, 1, 2],
        "steps": [1, 2],
    }
    with pytest.raises(TrainingError, match="cannot hold a builtin_function"):
        packed({"f": print})


def test_torch_reads_it_too(tmp_path):
    write(tmp_path / "c", STATE)
    assert torch.load(tmp_path / "c", weights_only=True)["weights"]["a"].sum() == 15


def test_one_that_is_cut_or_changed_anywhere_is_refused_and_the_one_before_is_taken(tmp_path):
    first, last = (tmp_path / file_name(0, epoch, 0) for epoch in (1, 2))
    write(first, {**STATE, "epoch": 1})
    write(last, {**STATE, "epoch": 2})
    whole = last.read_bytes()
    assert newest(tmp_path)["epoch"] == 2
    damaged = [whole[:length] for length in range(0, len(whole), 17)]
    damaged += [whole[:-1], whole + b"x", whole[1:]]
    for at in range(0, len(whole), 101):
        damaged.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for data in damaged:
        last.write_bytes(data)
        with pytest.warns(UserWarning, match="its checksum differs"):
            assert newest(tmp_path)["epoch"] == 1
        assert files_in(tmp_path) == [first]


def test_code_in_it_is_not_executed(tmp_path):
    import hashlib
    import io

    class Trap:
        def __reduce__(self):
            return (Path(tmp_path / "executed").touch, ())

    content = io.BytesIO()
    torch.save({"format": 1, "trap": Trap()}, content)
    data = content.getvalue()
    (tmp_path / "c").write_bytes(data + hashlib.sha256(data).digest())
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        read(tmp_path / "c")
    assert not (tmp_path / "executed").exists()


def test_later_places_have_greater_names():
    places = [(0, 2, 9), (0, 2, 10), (0, 10, 0), (1, 0, 0)]
    names = [file_name(*place) for place in places]
    assert names == sorted(names)
