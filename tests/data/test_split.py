"""Which pairs are trained on, validated on and tested on."""

from pathlib import Path

from fastunet.data.pairs import Pair, find_pairs
from fastunet.data.split import split_pairs


def test_the_split_depends_on_names_and_seed_only(write_pairs):
    pairs = list(find_pairs(write_pairs(10)))
    first, again = split_pairs(pairs, seed=1), split_pairs(pairs[::-1], seed=1)
    assert first["valid"] == again["valid"]
    assert split_pairs(pairs, seed=2)["valid"] != first["valid"]


def test_a_training_part_without_a_validation_part_is_split_and_the_test_part_kept():
    files = [Path(f"{i}.png") for i in range(10)]
    pairs = [Pair(f, f, "train" if i < 8 else "test") for i, f in enumerate(files)]
    assert {name: len(part) for name, part in split_pairs(pairs).items()} == {
        "train": 6,
        "valid": 2,
        "test": 2,
    }
