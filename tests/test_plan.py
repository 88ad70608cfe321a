"""A plan: options that are checked, overridden, written to a file and read back."""

import json
from dataclasses import fields
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from fastunet.choices import Loss, TrackingService
from fastunet.errors import FastunetError, OptionError
from fastunet.plan import (
    GROUPS,
    Clock,
    Plan,
)

WHOLE = {
    "data": Path("cells"),
    "masks": "labels",
    "classes": {"soil": 0, "crop": ["#00ff00", (0, 0, 255)]},
    "void": [9, "#ffffff"],
    "fold": (1, 5),
    "size": 64,
    "channels": np.int64(3),
    "scaling": "dtype",
    "augment": "free",
    "cache": None,
    "arch": "resnet18",
    "pretrained": False,
    "minutes": 2,
    "lr": "auto",
    "threads": 2,
}


def test_an_option_is_in_one_group_and_says_what_it_is():
    every = [field for group in GROUPS.values() for field in fields(group)]
    assert len(every) == len({field.name for field in every})
    assert all(field.metadata["help"].endswith(".") for field in every)


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "64"}, "size='64'; pixels were expected"),
        ({"bs": 2.5}, "bs=2.5; a whole number"),
        ({"epochs": 0}, "epochs=0; a whole number above 0"),
        ({"minutes": float("nan")}, "no time to train"),
        ({"lr": "fast"}, "lr='fast'; a rate above 0"),
        ({"cache": "tape"}, "cache='tape'; one of auto, ram, disk, none"),
        ({"strict": "yes"}, "strict='yes'; True or False"),
        ({"unknown": None}, "unknown=None; one of error, void"),
        ({"clases": ["a"]}, r"unknown option: 'clases' \(did you mean classes"),
        ({"size": 64, "patch": 32}, "size= and patch= were both given"),
        ({"epochs": 1, "minutes": 1}, "epochs= and minutes= were both given"),
        ({"scale": 0.5}, "scale= goes with patch="),
        ({"split": "s.json", "fold": (0, 2)}, "split= and fold= were both given"),
        ({"width": 8, "arch": "resnet18"}, "belongs to"),
        ({"weights": "w.pth"}, "those of an encoder"),
    ],
)
def test_a_wrong_option_is_named_with_what_was_expected(options, message):
    with pytest.raises(OptionError, match=message) as error:
        Plan.of(data="cells", **options)
    assert isinstance(error.value, FastunetError)
    assert isinstance(error.value, ValueError)


def test_values_have_one_form():
    plan = Plan.of(data="cells", patch=64, fold=[0, 5], masks="labels")
    assert plan.input.patch == (64, 64)
    assert plan.split.fold == (0, 5)
    assert plan.files.masks == Path("labels")


# --- another plan ---------------------------------------------------------------------------------


def test_an_option_replaces_what_goes_with_another_choice():
    clock = Clock(3, ((0, 500_000),))
    plan = Plan.of(data="cells", patch=64, scale=0.5, minutes=2, width=8, clock=clock)
    assert plan.but() is plan
    resized = plan.but(size=96)
    assert (resized.input.size, resized.input.patch, resized.input.scale) == ((96, 96), None, 1)
    assert plan.but(epochs=3).fit.minutes is None
    assert plan.but(arch="resnet18").model.width is None
    assert plan.but(bs=4).clock is None  # other batches take another time


# --- as a file ------------------------------------------------------------------------------------


def test_a_plan_is_read_back_as_it_was_written(tmp_path):
    plan = Plan.of(**WHOLE, clock=Clock(7, ((0, 1), (2, 999_999))))
    plan.save(tmp_path / "plan.json")
    again = Plan.load(tmp_path / "plan.json")
    assert again.to_json() == plan.to_json()
    assert again.clock == plan.clock
    assert again.options | {"classes": 0, "void": 0} == plan.options | {"classes": 0, "void": 0}
    document = json.loads((tmp_path / "plan.json").read_text())
    assert document["format"] == 1
    assert document["input"]["size"] == [64, 64]


def test_a_person_may_leave_out_what_has_a_default():
    plan = Plan.from_json('{"format": 1, "files": {"data": "cells"}, "fit": {"epochs": 5}}')
    assert plan == Plan.of(data="cells", epochs=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "p.json is no JSON"),
        ("[1]", "no plan of this fastunet"),
        ('{"format": 2}', '"format": 1 was expected'),
        ('{"format": 1, "masks": {}}', "unknown entries: masks; expected files, mask,"),
        (
            '{"format": 1, "fit": {"epoch": 1}}',
            r"did you mean epochs\?\); expected epochs, minutes",
        ),
        ('{"format": 1, "fit": {"epochs": "many"}}', "p.json: epochs='many'; a whole number"),
        ('{"format": 1, "fit": 3}', '"fit" is 3; options by name'),
        ('{"format": 1}', "data= is missing"),
        ('{"format": 1, "files": {"data": "d"}, "clock": {}}', '"clock" is not what a run wrote'),
    ],
)
def test_a_file_that_is_no_plan_says_why(text, message):
    with pytest.raises(OptionError, match=message):
        Plan.from_json(text, "p.json")


def test_what_only_python_can_hold_is_not_written():
    with pytest.raises(OptionError, match=r"groups=.* cannot be written to a plan"):
        Plan.of(data="cells", groups=lambda pair: "a").to_json()


def test_losses_are_those_that_there_are_and_services_those_that_can_be_asked():
    from fastunet.callback.tracking_services import SERVICES
    from fastunet.losses.combined import LOSSES

    assert {*get_args(Loss)} == {"combined", *LOSSES}
    assert {*get_args(TrackingService)} == {*SERVICES}
    plan = Plan.of(data="cells", loss="lovasz", track=["mlflow", "wandb", "mlflow"])
    assert plan.fit.track == ("mlflow", "wandb")
    assert Plan.of(data="cells", track="wandb").fit.track == ("wandb",)
    assert Plan.from_json(plan.to_json()) == plan
    with pytest.raises(OptionError, match="some of tensorboard, wandb, mlflow"):
        Plan.of(data="cells", track="neptune")
    with pytest.raises(OptionError, match="one of combined, ce, dice"):
        Plan.of(data="cells", loss="mse")
