"""Pairs, and the list of them."""

from pathlib import Path

from fastunet.pairs.pair import Pair, PairList

A = Pair(Path("a.png"), Path("a_mask.png"), "train")
B = Pair(Path("b_0000.png"), Path("b.png"), channels=(Path("b_0001.png"),))


def test_an_image_is_one_file_or_several_whose_channels_are_stacked():
    assert A.image_files == (Path("a.png"),)
    assert B.image_files == (Path("b_0000.png"), Path("b_0001.png"))


def test_a_list_of_pairs_is_a_sequence_that_counts_its_parts():
    pairs = PairList([A, B, A], "table")
    assert (len(pairs), pairs[1], pairs[-2:]) == (3, B, [B, A])
    assert list(pairs) == [A, B, A]
    assert pairs.splits == {"train": 2, "": 1}
