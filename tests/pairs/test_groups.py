"""Groups that names and folders show, and those that a user states."""

from pathlib import Path

import pytest

from fastunet.errors import OptionError, SplitError
from fastunet.pairs.find import find_pairs
from fastunet.pairs.groups import propose_groups, relative_names, with_groups
from fastunet.pairs.pair import Pair


def pairs_of(*names: str) -> list[Pair]:
    return [Pair(Path("data", f"{name}.png"), Path("masks", f"{name}.png")) for name in names]


def proposed(*names: str) -> list[str] | None:
    found = propose_groups(pairs_of(*names))
    return found and list(found.values())


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ("0cdf5b5d_01 0cdf5b5d_02 0ce66b53_01 0ce66b53_02", "0cdf5b5d 0ce66b53"),
        ("0001TP_006690 0001TP_006720 0006R0_f00930 0006R0_f00960", "0001TP 0006R0"),
        ("seq1_f00012 seq1_f00013 seq2_f00012 seq2_f00013", "seq1 seq2"),
        ("vid3-0045 vid3-0046 vid4-0045 vid4-0049", "vid3 vid4"),
        ("beach_frame_1 beach_frame_2 street_frame_1 street_frame_2", "beach street"),
        ("scene12_x3_y4 scene12_x4_y4 scene13_x3_y4 scene13_x0_y0", "scene12 scene13"),
        ("S2A_T32_0_256 S2A_T32_256_0 S2A_T33_0_256 S2A_T33_0_0", "S2A_T32 S2A_T33"),
        ("patient07_slice1 patient07_slice2 patient8_slice1 patient8_slice2", "patient07 patient8"),
        ("patient_07_12 patient_07_13 patient_08_1 patient_08_2", "patient_07 patient_08"),
        ("images/p1/1_image images/p1/2_image images/p2/3_image images/p2/4_image", "p1 p2"),
        ("bear/000 bear/001 camel/000 camel/001", "bear camel"),  # they count anew: videos
        ("p1/scan1_1 p1/scan2_1 p1/scan2_2 p2/scan1_1 p2/scan1_2 p2/scan2_2", "p1 p2"),
    ],
)
def test_names_show_groups(names, groups):
    names, groups = names.split(), groups.split()
    first = len(names) // 2
    assert proposed(*names) == [groups[0]] * first + [groups[1]] * first


@pytest.mark.parametrize(
    "names",
    [
        "000 001 002 003",
        "img_001 img_002 img_003 img_004",
        "001_image 002_image 003_image 004_image",
        "00071198d059ba7f 0121d6759c5adb29 0402a81e75262469 06350c7cc618be44",
        "cat_1 cat_2 dog_1 dog_2",  # kinds
        "cats/a cats/b dogs/c dogs/d",
        "2007_000032 2007_000042 2008_000032 2008_000042",  # years
        "0001TP_006690 0001TP_006720 0001TP_006750 0001TP_006780",  # one video
        "tile_0_0 tile_0_256 tile_256_0 tile_256_256",  # one scene
        "seq1_1 seq2_1 seq3_1 seq4_1 seq5_1 seq5_2 seq5_3 seq5_4 seq5_5 seq5_6",  # mostly single
    ],
)
def test_names_show_no_groups(names):
    assert proposed(*names.split()) is None


def test_the_real_data_sets(shared):
    found = propose_groups(find_pairs(shared("carvana")))
    assert len(found) == 20
    assert len(set(found.values())) == 5
    videos = propose_groups(find_pairs(shared("camvid")))
    assert set(videos.values()) == {"0001TP", "0006R0", "0016E5", "Seq05VD"}
    for name in ("dsb2018", "isbi2012", "cwfid"):
        assert propose_groups(find_pairs(shared(name))) is None


def test_groups_are_stated_by_an_expression_or_a_function():
    pairs = pairs_of("a1_x", "a2_x", "b1_x")
    assert [p.group for p in with_groups(pairs, r"^([ab])\d")] == ["a", "a", "b"]
    assert [p.group for p in with_groups(pairs, r"(?P<g>[ab])(\d)")] == ["a", "a", "b"]
    assert [p.group for p in with_groups(pairs, lambda p: p.image.stem[1])] == ["1", "2", "1"]
    assert with_groups(pairs, None) == pairs


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("auto", "show no groups"),
        (r"(a\d)_", "b1_x.png does not match"),
    ],
)
def test_groups_that_cannot_be_found_are_refused(groups, said):
    with pytest.raises(SplitError, match=said):
        with_groups(pairs_of("a1_x", "a2_x", "b1_x"), groups)


@pytest.mark.parametrize(
    ("groups", "said"), [(r"a\d_", "has 0 groups"), ("(a", "no regular expression")]
)
def test_an_expression_that_names_no_group_is_refused(groups, said):
    with pytest.raises(OptionError, match=said):
        with_groups(pairs_of("a1_x", "a2_x", "b1_x"), groups)


def test_relative_names_are_the_same_wherever_the_folder_lies():
    composed, decomposed = "caf\u00e9", "cafe\u0301"  # Linux and macOS give names back differently
    here = [Path("/here/a/1.png"), Path(f"/here/b/{composed}.png")]
    there = [Path("/mnt/there/a/1.png"), Path(f"/mnt/there/b/{decomposed}.png")]
    assert list(relative_names(here).values()) == ["a/1.png", f"b/{composed}.png"]
    assert list(relative_names(there).values()) == list(relative_names(here).values())
