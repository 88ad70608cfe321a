"""What a search tries: values around the default, without what the user chose."""

import pytest

from fastunet.models.pretrained import weights_at_hand
from fastunet.plan import Plan
from fastunet.tuning.search_space import as_options, differences, search_space

DEFAULT = Plan.of(data="cells", arch="unet", size=128, width=16, augment="scene", lr=0.003)


def test_the_default_stands_first_and_sizes_are_those_that_images_have():
    space = search_space(DEFAULT, (), longest=256)
    assert space["size"] == [128, 192, 256, 96]
    assert search_space(DEFAULT, (), longest=200)["size"] == [128, 192, 96]
    assert search_space(DEFAULT, (), longest=50)["size"] == [128, 96]
    assert space["network"][0] == "unet width 16"
    assert {"unet width 8", "unet width 32"} <= {*space["network"]}
    assert space["lr"] == pytest.approx([0.003, 0.0003, 0.03])
    assert (space["loss"][0], space["augment"][0]) == ("combined", "scene")


def test_what_the_user_chose_is_not_searched():
    fixed = ("size", "width", "lr", "loss", "augment")
    assert search_space(DEFAULT, fixed, 256) == {}
    assert "size" not in search_space(DEFAULT, ("patch",), 256)
    widths = search_space(DEFAULT, ("arch",), 256)["network"]
    assert widths == ["unet width 16", "unet width 32", "unet width 8"]
    encoder = Plan.of(data="cells", arch="resnet18", size=128)
    assert "network" not in search_space(encoder, ("arch",), 256)


def test_encoders_are_those_whose_weights_are_here():
    encoders = [n for n in search_space(DEFAULT, (), 256)["network"] if "unet" not in n]
    assert all(weights_at_hand(one) in ("installed", "cached") for one in encoders)
    if weights_at_hand("tf_efficientnet_lite0") == "installed":
        assert "tf_efficientnet_lite0" in encoders
    random_start = search_space(DEFAULT, ("pretrained",), 256)["network"]
    assert all("unet" in one for one in random_start)


def test_values_become_options_of_a_plan_and_words():
    assert as_options({"network": "unet width 8", "lr": 0.1}) == {
        **{"arch": "unet", "width": 8, "lr": 0.1}
    }
    assert as_options({"network": "resnet34"}) == {"arch": "resnet34"}
    plan = DEFAULT.but(**as_options({"network": "resnet34", "size": 96}))
    assert (plan.model.arch, plan.model.width, plan.input.size) == ("resnet34", None, (96, 96))
    assert differences({"lr": 0.1, "size": 96}, {"lr": 0.003, "size": 96}) == "lr 0.1"
    assert differences({"size": 96}, {"size": 96}) == "the default"
