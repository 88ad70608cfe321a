"""The one rule that the names of images and masks follow, found from the names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastunet.pairs.affixes import infer_rule
from fastunet.pairs.find import find_pairs
from fastunet.pairs.matching import Rule, pair_up


def stems(pairs):
    return [(pair.image.name, pair.mask.name, pair.split) for pair in pairs]


def test_one_stem_inside_another_does_not_confuse_the_suffix(touch, tmp_path):
    names = [f"{i}" for i in range(1, 25)]
    touch(tmp_path, *(f"images/{n}.png" for n in names), *(f"masks/seg_{n}_L.png" for n in names))
    pairs = find_pairs(tmp_path)
    assert [pair.mask.stem for pair in pairs] == [f"seg_{pair.image.stem}_L" for pair in pairs]
    assert len(pairs) == 24


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}", "{}"),
        ("{}", "{}_mask"),
        ("{}", "mask_{}"),
        ("{}", "seg_{}_L"),
        ("{}_leftImg8bit", "{}_gtFine_labelIds"),
        ("{}_image", "{}_annotation"),
        ("img_{}", "mask_{}"),
        ("img{}", "mask{}"),
        ("sat_{}", "gt_{}"),
        ("{}_sat", "{}"),
        ("{}.rgb", "{}.labels"),
        ("sat_{}", "{}_gt"),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 120])
def test_numbers_with_an_affix_on_either_side_pair_up(image, mask, count):
    cores = [str(7 * i) for i in range(1, count + 1)]
    images = {"": sorted(image.format(core) + ".jpg" for core in cores)}
    masks = {"": sorted(mask.format(core) + ".png" for core in cores)}
    found = pair_up(images, masks, infer_rule(images, masks))
    assert sorted(found.pairs) == sorted(
        (("", image.format(core) + ".jpg"), ("", mask.format(core) + ".png")) for core in cores
    )


names = st.text("ab01_-.", min_size=1, max_size=6).filter(lambda s: not s.startswith("."))

affixes = st.sampled_from(["", "_mask", "-seg", "_L", ".gt", "M", "_gtFine_labelIds"])


@given(st.sets(names, min_size=1, max_size=30), affixes, affixes, st.randoms())
def test_any_stems_with_one_affix_pair_up_in_any_order(cores, before, behind, rng):
    """Another rule may pair as many: then equal stems, or the shorter affix, are as right."""
    images = {"": [f"{core}.png" for core in cores]}
    masks = {"": [f"{before}{core}{behind}.png" for core in cores]}
    rule = infer_rule(images, masks)
    found = pair_up(images, masks, rule)
    assert len(found.pairs) == len(cores)
    assert not found.unpaired_images
    assert not found.unpaired_masks
    assert rule.length <= len(before) + len(behind)

    for side in (images, masks):
        rng.shuffle(side[""])
    assert infer_rule(images, masks) == rule


@given(st.sets(st.integers(0, 99_999), min_size=4, max_size=60), st.data())
def test_a_few_strangers_do_not_spoil_the_rule(numbers, data):
    cores = sorted(map(str, numbers))
    images = {"": [f"img_{core}.png" for core in cores]}
    masks = {"": [f"mask_{core}.png" for core in cores]}
    dropped = data.draw(st.sampled_from(cores))
    masks[""].remove(f"mask_{dropped}.png")
    images[""] += ["readme-picture.png"]
    masks[""] += ["legend.png"]
    found = pair_up(images, masks, infer_rule(images, masks))
    assert {(image, mask) for (_, image), (_, mask) in found.pairs} == {
        (f"img_{core}.png", f"mask_{core}.png") for core in cores if core != dropped
    }


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["left"], ["right"]),
        (["scan1_001", "scan1_002"], ["scan2_001", "scan2_002"]),
        (["1", "2", "3"], ["4", "5", "6"]),
    ],
)
def test_names_that_only_look_alike_do_not_pair(images, masks):
    images = {"": [f"{stem}.png" for stem in images]}
    masks = {"": [f"{stem}.png" for stem in masks]}
    assert not pair_up(images, masks, infer_rule(images, masks)).pairs


def test_a_few_labelled_images_among_very_many_are_found():
    images = {"": [f"{i:06d}.jpg" for i in range(20_000)]}
    masks = {"": [f"{i:06d}_mask.png" for i in range(9_000, 9_020)]}
    assert infer_rule(images, masks) == Rule(mask=("", "_mask"))
