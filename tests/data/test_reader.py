"""A pair of files as the arrays that the network needs."""

import numpy as np
import pytest

from fastunet.data import reader as reader_module
from fastunet.data.masks import MaskCodec
from fastunet.data.pairs import find_pairs
from fastunet.data.reader import PairReader
from fastunet.data.split import split_pairs
from fastunet.preprocess import Preprocess


@pytest.fixture
def parts(write_pairs):
    return split_pairs(find_pairs(write_pairs(4, size=(90, 40))), valid_pct=0.5)


def make_reader():
    return PairReader(MaskCodec(("off", "on"), (0, 255)), Preprocess((32, 32)))


def test_training_pairs_have_room_to_zoom_and_validation_pairs_the_networks_size(parts):
    reader = make_reader()
    image, mask = reader.read(parts["train"][0])
    assert image.shape == (48, 40, 3)
    assert mask.shape == (48, 40)
    image, mask = reader.read(parts["valid"][0])
    assert image.shape == (32, 32, 3)
    assert mask.shape == (32, 32)


def test_what_is_kept_in_memory_is_what_is_read_from_disk(parts):
    pairs = [*parts["train"], *parts["valid"]]
    kept, fresh = make_reader(), make_reader()
    assert kept.keep(pairs, progress=False)
    for pair in pairs:
        for ours, theirs in zip(kept.read(pair), fresh.read(pair), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert kept.read(pair) is kept.read(pair)


def test_what_does_not_fit_in_memory_is_read_when_it_is_needed(parts, monkeypatch):
    monkeypatch.setattr(reader_module, "fits_in_memory", lambda bytes_each, count: False)
    reader = make_reader()
    assert not reader.keep(parts["train"], progress=False)
    assert reader.read(parts["train"][0])[0].shape == (48, 40, 3)
