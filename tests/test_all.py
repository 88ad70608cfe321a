"""`from fastunet.all import *`: fastai.vision's names and ours, none replaced."""

import fastai.vision.all as fastai_all

import fastunet
import fastunet.all as fastunet_all


def test_it_gives_fastais_names_and_ours():
    assert {"DataBlock", "Learner", "resnet34", "Path", "plt"} <= set(vars(fastunet_all))
    assert {"samples", "Pair", "UNet"} <= set(fastunet.__all__) <= set(vars(fastunet_all))


def test_no_name_of_fastais_is_replaced():
    theirs = {name: value for name, value in vars(fastai_all).items() if not name.startswith("__")}
    replaced = [name for name, value in theirs.items() if getattr(fastunet_all, name) is not value]
    assert replaced == []


def test_every_public_name_is_there():
    for name in fastunet.__all__:
        assert getattr(fastunet, name) is not None
