"""The file of weights: checked by its size and header before it is read."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from fastunet.errors import BundleError
from fastunet.inference.weights_file import WeightsFile, read_weights, weights_bytes

TYPES = [
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
]


def anything(_header: object) -> None:
    """A check that takes every header."""


def stored(folder, blob: bytes) -> WeightsFile:
    (folder / "w.safetensors").write_bytes(blob)
    return WeightsFile("w.safetensors", len(blob), hashlib.sha256(blob).hexdigest())


def with_header(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_what_is_written_is_read(tmp_path, dtype):
    weights = {"a": torch.arange(6).reshape(2, 3).to(dtype).t(), "empty": torch.zeros(0, 4)}
    again = read_weights(tmp_path, stored(tmp_path, weights_bytes(weights)), anything)
    assert again.keys() == weights.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(again[name], tensor)


def test_the_check_sees_shapes_and_types_without_numbers_and_may_refuse(tmp_path):
    weights = nn.Conv2d(3, 4, 5).half().state_dict()
    expected = stored(tmp_path, weights_bytes(weights))
    seen = {}
    read_weights(tmp_path, expected, seen.update)
    assert {name: (t.shape, t.dtype, t.is_meta) for name, t in seen.items()} == {
        name: (t.shape, t.dtype, True) for name, t in weights.items()
    }

    def refuse(_header):
        raise BundleError("not wanted")

    (tmp_path / "w.safetensors").write_bytes(bytes(expected.bytes))  # the header is looked at first
    with pytest.raises(BundleError, match="header would have 0 bytes"):
        read_weights(tmp_path, expected, refuse)
    with pytest.raises(BundleError, match="not wanted"):
        read_weights(tmp_path, stored(tmp_path, weights_bytes(weights)), refuse)


def test_a_file_of_another_size_or_content_is_refused(tmp_path):
    expected = stored(tmp_path, weights_bytes({"a": torch.ones(3)}))
    for wrong, message in (
        (replace(expected, bytes=expected.bytes + 1), "it is cut short or from another bundle"),
        (replace(expected, sha256="0" * 64), "was changed since it was saved"),
        (replace(expected, file="x.safetensors"), "it does not exist"),
    ):
        with pytest.raises(BundleError, match=message):
            read_weights(tmp_path, wrong, anything)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        [1],
        {"a": 1},
        {"a": {**ENTRY, "dtype": "F1"}},
        {"a": {**ENTRY, "dtype": ["F32"]}},
        {"a": {**ENTRY, "shape": [-2]}},
        {"a": {**ENTRY, "shape": [True, 2]}},
        {"a": {**ENTRY, "shape": [3]}},
        {"a": {**ENTRY, "shape": [2**60, 0], "data_offsets": [0, 0]}},
        {"a": {**ENTRY, "shape": [1] * 9}},
        {"a": {**ENTRY, "data_offsets": [0, 16]}},
        {"a": {**ENTRY, "data_offsets": [8, 0]}},
        {"a": {**ENTRY, "more": 1}},
        {"\x1b[2J": ENTRY},
    ],
    ids=str,
)
def test_a_header_that_does_not_describe_the_tensors_is_refused(tmp_path, header):
    with pytest.raises(BundleError, match=r"not a safetensors file, or it is damaged \(its "):
        read_weights(tmp_path, stored(tmp_path, with_header(header)), anything)


def test_weights_that_do_not_fit_into_memory_are_not_read(tmp_path, monkeypatch):
    class Full:
        available = 100

    monkeypatch.setattr("psutil.virtual_memory", lambda: Full)
    expected = stored(tmp_path, weights_bytes({"a": torch.ones(30)}))
    with pytest.raises(BundleError, match=r"needs about .* GB of memory.*Close other programs"):
        read_weights(tmp_path, expected, anything)
