"""One fact changes, and the plan changes where its reason says; the user's word always wins."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastunet.plan import Plan
from fastunet.planner.choose import choose
from fastunet.planner.facts import DataFacts, MachineFacts
from fastunet.planner.up_and_down import Upright

UP, NO_UP = Upright(40, 40, 1.2), Upright(21, 40, 0.02)
ENCODER = "tf_efficientnet_lite0"


def discs(size, diameter):
    """A mask with as many discs as have room."""
    mask = np.zeros(size, np.uint8)
    step = 3 * diameter
    for y in range(step // 2, size[0], step):
        for x in range(step // 2, size[1], step):
            cv2.circle(mask, (x, y), diameter // 2, 1, -1)
    return mask


def facts(size=(512, 512), width=150, **changes):
    mask = discs(size, min(width, min(size) // 3))
    known = {
        "images": 200,
        "size": size,
        "channels": 3,
        "classes": ("background", "thing"),
        "shares": (0.9, 0.1),
        "widths": (300.0, float(width)),
        "upright": UP,
        "masks": ((Path("a.png"), mask),),
    }
    return DataFacts(**known | changes)


def machine(seconds=170.0, speed=4e5, **changes):
    known = {"weights": ENCODER, "weights_are": "installed", "speed": lambda arch: speed}
    return MachineFacts("cpu", seconds, **known | changes)


def chosen(data=None, on=None, **options):
    plan, reasons = choose(Plan.of(data="cells", **options), data or facts(), on or machine())
    return plan, {one.field: one for one in reasons}


# --- the network ----------------------------------------------------------------------------------


def test_a_pretrained_encoder_is_taken_where_its_weights_are_at_hand():
    plan, why = chosen()
    assert plan.model.arch == ENCODER
    assert "installed" in why["arch"].fact


@pytest.mark.parametrize(
    ("data", "on", "options", "fact"),
    [
        (facts(channels=13), None, {}, "13"),
        (None, machine(weights=None), {}, "none are at hand"),
        (None, None, {"pretrained": False}, "none were to be used"),
        (None, None, {"width": 8}, "8"),
    ],
    ids=["13 channels", "no weights", "not pretrained", "a width"],
)
def test_the_scratch_network_is_taken_where_there_can_be_no_encoder(data, on, options, fact):
    plan, why = chosen(data, on, **options)
    assert plan.model.arch == "unet"
    assert fact in why["arch"].fact


# --- what it sees ---------------------------------------------------------------------------------


def test_pictures_without_an_up_are_turned_by_any_angle():
    assert chosen()[0].input.augment == "scene"
    assert chosen(facts(upright=NO_UP))[0].input.augment == "free"
    plan, why = chosen(facts(upright=Upright(2, 3, 0.5)))
    assert plan.input.augment == "scene"
    assert "may have" in why["augment"].reason


def test_small_things_everywhere_are_seen_in_patches_and_large_ones_whole():
    small, why = chosen(facts(upright=NO_UP, width=20))
    assert small.input.patch is not None
    assert "20 pixels wide" in why["patch"].fact
    for data in (facts(upright=NO_UP, width=150), facts(upright=UP, width=20)):
        plan, _ = chosen(data)
        assert (plan.input.patch, plan.input.size is None) == (None, False)


def test_patches_of_wide_things_are_cut_at_less_resolution_and_of_thin_ones_are_not():
    wide = chosen(facts((2000, 2000), 100, upright=NO_UP))[0].input
    thin = chosen(facts((2000, 2000), 5, upright=NO_UP))[0].input
    assert wide.scale < thin.scale == 1


def test_more_time_pays_for_more_detail():
    sides = [
        chosen(facts(width=40), machine(60 * minutes))[0].input.size[0]
        for minutes in (1, 3, 10, 30)
    ]
    assert sides == sorted(sides)
    assert sides[0] < sides[-1]


def test_a_slower_machine_sees_less():
    fast, slow = (chosen(facts(width=40), machine(speed=s))[0].input.size[0] for s in (2e6, 1e5))
    assert slow < fast


def test_more_detail_than_masks_need_is_not_paid_for():
    plan, why = chosen(facts(width=150), machine(36_000))
    assert plan.input.size[0] < 512
    assert "more detail would bring little" in why["size"].reason


def test_sides_are_those_of_the_images():
    height, width = chosen(facts((400, 800)))[0].input.size
    assert width == pytest.approx(2 * height, rel=0.3)


# --- batches, growth, folds -----------------------------------------------------------------------


def test_little_time_makes_small_batches():
    assert chosen(on=machine(30))[0].input.bs < chosen(on=machine(3600))[0].input.bs == 16


def test_whole_images_begin_small_and_patches_do_not():
    assert chosen()[0].fit.grow_from < 1
    assert chosen(facts(upright=NO_UP, width=20))[0].fit.grow_from is None


def test_few_images_are_cross_validated_where_there_is_time():
    few = {"images": 16, "pool": 20}
    assert chosen(facts(**few), machine(1800))[0].split.folds == 5
    assert chosen(facts(**few), machine(60))[0].split.folds is None
    assert chosen(facts(images=400, pool=500), machine(1800))[0].split.folds is None
    assert chosen(facts(images=16, pool=0), machine(1800))[0].split.folds is None  # their own split
    assert chosen(facts(**few), machine(1800, processes=2))[0].split.folds is None


def test_without_a_word_on_time_few_images_have_more_epochs_and_the_time_is_told():
    few, why = chosen(facts(images=20), machine(None))
    many, _ = chosen(facts(images=5000), machine(None))
    assert few.fit.epochs > many.fit.epochs >= 20
    assert "minutes" in why["epochs"].fact
    assert chosen(epochs=3)[0].fit.epochs == 3
    assert chosen(minutes=3)[0].fit.epochs is None


def test_how_long_is_left_open_where_nothing_is_to_be_trained_to_its_end():
    plan, _ = choose(Plan.of(data="cells"), facts(), machine(None), trains=False)
    assert plan.fit.epochs is None
    assert plan.input.size is not None


def test_masks_without_anything_in_them_have_a_plan_all_the_same(recwarn):
    nothing = ((Path("a.png"), np.zeros((64, 64), np.uint8)),)
    for data in (
        facts(shares=(1.0, 0.0), widths=(32.0, float("nan")), masks=nothing),
        facts(shares=(0.0, 0.0), widths=(float("nan"),) * 2, masks=nothing),
    ):
        plan, _ = chosen(data)
        assert plan.input.size is not None
    assert not recwarn.list


# --- whose word counts ----------------------------------------------------------------------------


def test_what_the_user_chose_stays_and_has_no_reason():
    said = {"arch": "resnet18", "augment": "none", "size": 320, "bs": 2, "folds": 1, "epochs": 3}
    plan, why = chosen(facts(images=16, pool=20), machine(1800), **said, grow_from=1)
    assert not why
    assert (plan.model.arch, plan.input.size, plan.input.bs) == ("resnet18", (320, 320), 2)
    assert chosen(patch=64)[0].input.size is None


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(16, 1500),
    width=st.integers(16, 1500),
    thing=st.integers(1, 400),
    images=st.integers(1, 5000),
    channels=st.integers(1, 20),
    classes=st.integers(2, 12),
    upright=st.sampled_from([UP, NO_UP, Upright(2, 3, 0.4)]),
    seconds=st.one_of(st.none(), st.floats(1, 7200)),
    speed=st.floats(1e4, 1e9),
)
def test_whatever_the_facts_are_the_plan_is_whole(
    height, width, thing, images, channels, classes, upright, seconds, speed
):
    data = facts(
        (height, width),
        thing,
        images=images,
        pool=images + 2,
        channels=channels,
        classes=tuple(map(str, range(classes))),
        shares=(0.9, 0.1, *[0.0] * (classes - 2)),
        widths=(300.0, float(thing), *[float("nan")] * (classes - 2)),
        upright=upright,
    )
    plan, _ = chosen(data, machine(seconds, speed))
    sides = plan.input.size or plan.input.patch
    assert (plan.input.size is None) != (plan.input.patch is None)
    assert all(side % 32 == 0 and 32 <= side <= 1600 for side in sides)
    each = 1 if plan.input.size else max(1, height * width // (sides[0] * sides[1]))
    assert 1 <= plan.input.bs <= images * each
    assert Plan.from_json(plan.to_json()) == plan
