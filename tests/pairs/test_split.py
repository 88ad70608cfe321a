"""Which pairs are trained on, validated on and tested on."""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastunet.errors import OptionError, SplitError
from fastunet.pairs.find import find_pairs
from fastunet.pairs.pair import Pair
from fastunet.pairs.split import k_fold, load_split, save_split, split_pairs


def made(n: int, groups=None, root="data") -> list[Pair]:
    """`n` pairs; `groups[i]` is the group of the i-th."""
    return [
        Pair(Path(root, f"{i:03d}.jpg"), Path(root, "m", f"{i:03d}.png"), group=group)
        for i, group in enumerate(groups or [""] * n)
    ]


def holding(pairs, labels):
    return {pair.mask: held for pair, held in zip(pairs, labels, strict=True)}


def names(parts):
    return {part: [pair.image.name for pair in found] for part, found in parts.items()}


seeds = st.integers(0, 99)
group_lists = st.lists(st.sampled_from(["", *"abcdefgh"]), min_size=6, max_size=40)


# --- shares and parts ---------------------------------------------------------------------------


def test_the_split_depends_on_names_and_seed_only(write_pairs):
    pairs = list(find_pairs(write_pairs(10)))
    first, again = split_pairs(pairs, seed=1), split_pairs(pairs[::-1], seed=1)
    assert first == again
    assert split_pairs(pairs, seed=2)["valid"] != first["valid"]
    moved = list(find_pairs(write_pairs(10, folder="elsewhere/deeper")))
    assert names(split_pairs(moved, seed=1)) == names(first)


def test_the_split_of_a_seed_stays_what_it_was():
    assert names(split_pairs(made(10)))["valid"] == ["007.jpg", "003.jpg"]


def test_a_training_part_without_a_validation_part_is_split_and_the_test_part_kept():
    files = [Path(f"{i}.png") for i in range(10)]
    pairs = [Pair(f, f, "train" if i < 8 else "test") for i, f in enumerate(files)]
    parts = split_pairs(pairs, test_pct=0.4)
    assert {name: len(part) for name, part in parts.items()} == {"train": 6, "valid": 2, "test": 2}
    assert [pair.image for pair in parts["test"]] == files[8:]


def test_parts_that_exist_are_kept_even_across_groups():
    splits = ["train", "valid", "test", "train"]
    pairs = [replace(p, split=s) for p, s in zip(made(4, ["a"] * 4), splits, strict=True)]
    assert {n: len(p) for n, p in split_pairs(pairs).items()} == {"train": 2, "valid": 1, "test": 1}


@given(n=st.integers(3, 60), valid=st.floats(0.05, 0.45), test=st.floats(0.05, 0.45), seed=seeds)
def test_single_images_are_shared_out_to_the_image(n, valid, test, seed):
    parts = split_pairs(made(n), valid, seed, test)
    assume(round(valid * n) + round(test * n) < n)
    assert len(parts["valid"]) == max(1, round(valid * n))
    assert len(parts["test"]) == max(1, round(test * n))
    assert len(parts["train"]) == n - len(parts["valid"]) - len(parts["test"])


# --- groups -------------------------------------------------------------------------------------


@given(groups=group_lists, test_pct=st.sampled_from([0, 0.2]), seed=seeds)
def test_a_group_is_in_one_part_and_the_shares_are_off_by_less_than_a_group(groups, test_pct, seed):
    sizes = Counter(group or i for i, group in enumerate(groups))
    assume(len(sizes) >= 3)
    parts = split_pairs(made(len(groups), groups), 0.25, seed, test_pct)
    parts_of_group = [{pair.group for pair in part if pair.group} for part in parts.values()]
    assert len(set.union(*parts_of_group)) == sum(map(len, parts_of_group))
    assert sum(map(len, parts.values())) == len(groups)
    for name, share in (("valid", 0.25), ("test", test_pct)):
        assert bool(parts[name]) == bool(share)
        assert len(parts[name]) < max(1, share * len(groups)) + max(sizes.values())


@given(groups=group_lists, labels=st.data(), k=st.integers(2, 5), seed=seeds)
def test_folds_hold_every_pair_once_and_never_tear_a_group(groups, labels, k, seed):
    sizes = Counter(group or i for i, group in enumerate(groups))
    assume(len(sizes) >= k)
    pairs = made(len(groups), groups)
    present = holding(pairs, [labels.draw(st.sets(st.sampled_from("pqr"))) for _ in pairs])
    shuffled = random.Random(seed).sample(pairs, len(pairs))
    validated = []
    for fold in range(k):
        parts = k_fold(pairs, k, fold, seed, present)
        assert parts == k_fold(shuffled, k, fold, seed, present)
        assert not {p.group for p in parts["train"]} & {p.group for p in parts["valid"]} - {""}
        assert 0 < len(parts["valid"]) < len(pairs) / k + 1 + max(sizes.values())
        validated += parts["valid"]
    assert sorted(pair.image for pair in validated) == [pair.image for pair in pairs]


def test_folds_leave_the_test_part_alone():
    pairs = [replace(p, split="test" if i < 3 else "valid") for i, p in enumerate(made(13))]
    for fold in range(5):
        parts = k_fold(pairs, 5, fold)
        assert [len(parts[name]) for name in ("train", "valid", "test")] == [8, 2, 3]
        assert {pair.image for pair in parts["test"]} == {pair.image for pair in pairs[:3]}


def test_the_cars_of_carvana_stay_whole(shared):
    pairs = [replace(pair, split="") for pair in find_pairs(shared("carvana"))]
    parts = split_pairs(pairs, groups="auto")
    assert [len(parts[name]) for name in ("train", "valid")] == [16, 4]
    assert len({pair.group for pair in parts["valid"]}) == 1
    assert names(split_pairs(pairs, groups=r"^(\w+)_\d\d$")) == names(parts)


def test_what_cannot_be_split_is_said():
    with pytest.raises(SplitError, match=r"All 4 pairs are of one group \(car\)"):
        split_pairs(made(4, ["car"] * 4))
    with pytest.raises(SplitError, match=r"2 groups \(a, b\) for 3 parts"):
        k_fold(made(4, list("aabb")), 3)
    with pytest.raises(SplitError, match="1 pair to train on"):
        split_pairs(made(1))
    with pytest.raises(OptionError, match="fold=5; a number from 0 to 4"):
        k_fold(made(10), fold=5)
    with pytest.raises(SplitError, match=r"present= does not say .*000\.png"):
        split_pairs(made(4), present={})


# --- files ----------------------------------------------------------------------------


@given(seed=seeds)
def test_a_saved_split_comes_back_after_shuffling_and_moving(tmp_path_factory, seed):
    file = tmp_path_factory.mktemp("split") / "split.json"
    parts = split_pairs(made(20, root="/here/data/images"), seed=seed, test_pct=0.1)
    save_split(parts, file)
    moved = random.Random(seed).sample(made(20, root="/there/images"), 20)
    assert names(load_split(moved, file)) == names(parts)
    assert [f.name for f in file.parent.iterdir()] == ["split.json"]


def test_a_saved_split_is_plain_json_of_relative_paths(tmp_path):
    pairs = [
        replace(p, split="train" if i else "valid")
        for i, p in enumerate(Pair(Path("data", n), Path("m", n)) for n in ("a/1.png", "b/2.png"))
    ]
    file = save_split(split_pairs(pairs), tmp_path / "split.json")
    assert json.loads(file.read_text()) == {
        "format": 1,
        "train": ["b/2.png"],
        "valid": ["a/1.png"],
        "test": [],
    }


def test_a_split_of_other_pairs_is_refused_with_their_names(tmp_path):
    file = save_split(split_pairs(made(10)), tmp_path / "split.json")
    others = made(12)[1:]
    with pytest.raises(
        SplitError, match=r"does not list \(2\): 010\.jpg, 011\.jpg\..*not there \(1\): 000"
    ):
        load_split(others, file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": 2, "train": []}', "newer than this fastunet"),
        ('{"format": 1, "train": []}', "no split"),
        ('{"format": 1, "train": ["a"', "cut short"),
        ('{"format": 1, "train": ["a"], "valid": ["a"], "test": []}', r"more than once \(1\): a"),
        ("[]", "no split"),
    ],
)
def test_a_damaged_split_file_is_refused(tmp_path, text, said):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(SplitError, match=said):
        load_split(made(3), tmp_path / "split.json")
