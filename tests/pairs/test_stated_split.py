"""A split as a user states it: names of images, pairs, a file, or a function."""

from dataclasses import replace
from pathlib import Path

import pytest
from fastai.data.transforms import FuncSplitter, GrandparentSplitter, IndexSplitter, RandomSplitter

from fastunet.errors import SplitError
from fastunet.pairs.pair import Pair
from fastunet.pairs.split import save_split, split_pairs
from fastunet.pairs.stated_split import split_as_stated, split_by_list


def made(n: int) -> list[Pair]:
    return [Pair(Path("data", f"{i:03d}.jpg"), Path("masks", f"{i:03d}.png")) for i in range(n)]


def names(parts) -> dict[str, list[str]]:
    return {part: [pair.image.name for pair in pairs] for part, pairs in parts.items()}


def nested(*names: str) -> list[Pair]:
    return [Pair(Path("data", name), Path("masks", name)) for name in names]


def test_parts_can_be_listed_by_stem_name_or_path_or_in_a_text_file(tmp_path):
    pairs = nested("a/1.png", "a/2.png", "b/1.png", "b/3.png", "b/4.v2.png")
    (tmp_path / "test.txt").write_text("\ufeffb/3.png\n\n 4.v2 \n", encoding="utf-8")
    parts = split_by_list(pairs, ["2", Path("a/1.png")], tmp_path / "test.txt")
    assert {part: [str(p.image.relative_to("data")) for p in parts[part]] for part in parts} == {
        "train": ["b/1.png"],
        "valid": ["a/1.png", "a/2.png"],
        "test": ["b/3.png", "b/4.v2.png"],
    }


def test_a_listed_validation_part_leaves_the_test_part_alone():
    pairs = [replace(p, split="test" if i == 0 else "valid") for i, p in enumerate(made(4))]
    assert names(split_by_list(pairs, ["003"])) == {
        "train": ["001.jpg", "002.jpg"],
        "valid": ["003.jpg"],
        "test": ["000.jpg"],
    }


def test_listed_names_that_are_unknown_or_ambiguous_are_named(tmp_path):
    pairs = nested("a/1.png", "a/2.png", "b/1.png", "b/3.png")
    with pytest.raises(
        SplitError, match=r"valid: No image is called \(2\): 7, 8\. Several .*: 1\."
    ):
        split_by_list(pairs, ["7", "8", "1", "3"])
    with pytest.raises(SplitError, match=r"both valid and test \(1\)"):
        split_by_list(pairs, ["2"], ["a/2.png"])
    with pytest.raises(SplitError, match=r"missing\.txt could not be read"):
        split_by_list(pairs, tmp_path / "missing.txt")


EXPECTED = {"train": ["000.jpg", "001.jpg"], "valid": ["002.jpg"], "test": ["003.jpg"]}


@pytest.mark.parametrize(
    "form", ["pairs", "tuples", "paths", "text", "absolute", "names", "stems", "mixed"]
)
def test_parts_are_dicts_of_whatever_names_a_pair(form):
    pairs = made(4)
    entries = {
        "pairs": list,
        "tuples": lambda some: [(str(pair.image), pair.mask) for pair in some],
        "paths": lambda some: [pair.image for pair in some],
        "text": lambda some: [str(pair.image) for pair in some],
        "absolute": lambda some: [pair.image.absolute() for pair in some],
        "names": lambda some: [pair.image.name for pair in some],
        "stems": lambda some: {pair.image.stem for pair in some},
        "mixed": lambda some: iter([*some[:1], *(pair.image for pair in some[1:])]),
    }[form]
    split = {"train": entries(pairs[:2]), "val": entries(pairs[2:3]), "Test": entries(pairs[3:])}
    parts = split_as_stated(pairs, split)
    assert names(parts) == EXPECTED
    assert all(pair.split == part for part, some in parts.items() for pair in some)


def test_a_list_is_the_validation_part():
    assert names(split_as_stated(made(3), ["001"])) == {
        "train": ["000.jpg", "002.jpg"],
        "valid": ["001.jpg"],
        "test": [],
    }


def test_a_file_holds_a_saved_split_or_the_names_of_the_validation_part(tmp_path):
    pairs = made(5)
    parts = split_pairs(pairs, 0.4)
    expected = {part: set(some) for part, some in names(parts).items()}
    save_split(parts, tmp_path / "split.json")
    (tmp_path / "valid.txt").write_text("\n".join(p.image.stem for p in parts["valid"]))
    for file in (tmp_path / "split.json", str(tmp_path / "valid.txt")):
        found = names(split_as_stated(pairs, file))
        assert {part: set(some) for part, some in found.items()} == expected


def test_where_the_training_part_is_listed_the_rest_is_left_out_with_a_warning():
    with pytest.warns(UserWarning, match=r"2 images are in no part .* left out: 002.jpg, 003.jpg"):
        parts = split_as_stated(made(4), {"train": ["000"], "valid": ["001"]})
    assert names(parts) == {"train": ["000.jpg"], "valid": ["001.jpg"], "test": []}


def test_an_image_with_two_masks_may_be_named_by_its_pairs():
    a, b, c = Pair(Path("a"), Path("1")), Pair(Path("a"), Path("2")), Pair(Path("b"), Path("3"))
    parts = split_as_stated([a, b, c], {"valid": [b]})
    assert [pair.mask.name for pair in parts["train"]] == ["1", "3"]
    assert len(split_as_stated([a, b, c], {"valid": ["a"]})["valid"]) == 2


@pytest.mark.parametrize(
    "splitter",
    [
        IndexSplitter([1, 3]),
        FuncSplitter(lambda pair: pair.image.stem in ("001", "003")),
        lambda pairs: {"train": [pairs[0], pairs[2]], "valid": [pairs[1], pairs[3]]},
        lambda pairs: [[0, 2], [1, 3]],
    ],
)
def test_a_function_returns_pairs_or_indices_as_fastais_splitters_do(splitter):
    parts = split_as_stated(made(4), splitter)
    assert names(parts) == {
        "train": ["000.jpg", "002.jpg"],
        "valid": ["001.jpg", "003.jpg"],
        "test": [],
    }
    inside = [
        Pair(Path(part, "images", f"{i}.png"), Path(f"{i}"))
        for i, part in enumerate(["train", "valid"])
    ]
    by_folder = split_as_stated(
        inside, lambda pairs: GrandparentSplitter()([pair.image for pair in pairs])
    )
    assert names(by_folder) == {"train": ["0.png"], "valid": ["1.png"], "test": []}
    assert len(split_as_stated(made(8), RandomSplitter(0.25, seed=1))["valid"]) == 2


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (3, "split=3 is no split"),
        ({"valid": ["000"], "dev2": ["001"]}, "names a part 'dev2'; train, valid and test"),
        ({"train": ["000"]}, r"lists train, and no validation part.*\{'valid'"),
        ({}, "lists nothing, and no validation part"),
        ({"valid": [0]}, "valid: 0 names no image"),
        ({"valid": 0}, "valid: 0 names no image"),
        ({"valid": [None]}, "valid: None names no image"),
        ([], "leave the valid part empty"),
        ({"train": ["000"], "valid": ["000"]}, r"In both train and valid \(1\): 000"),
        ({"valid": [("x.jpg", "x.png")]}, r"No image is called \(1\): \('x.jpg', 'x.png'\)"),
        (GrandparentSplitter(), r"fails on pairs .*\[pair.image for pair in pairs\]"),
        (lambda pairs: None, "returned NoneType; a dict of pairs by part"),
        (lambda pairs: [["a"], ["b"]], "returned list"),
        (lambda pairs: {"train": pairs}, "leaves the valid part empty"),
    ],
)
def test_what_is_no_split_is_refused(split, message):
    with pytest.raises(SplitError, match=message):
        split_as_stated(made(3), split)
