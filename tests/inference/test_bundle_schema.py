"""What the JSON of a bundle must hold."""

import copy
import json
from dataclasses import fields

import pytest

from fastunet.errors import BundleError
from fastunet.inference.bundle import Bundle
from fastunet.inference.bundle_schema import FIELDS, check_fields
from fastunet.masks.codec import MaskCodec
from fastunet.models.build import describe
from fastunet.models.unet import UNet
from fastunet.preprocess import Preprocess


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict:
    """The JSON of a bundle, as it was saved."""
    model = UNet(3, 1, depth=1, width=2)
    codec, preprocess = MaskCodec(("a", "b"), (0, 255)), Preprocess((8, 8))
    bundle = Bundle(describe(model), model.state_dict(), codec, preprocess)
    folder = bundle.save(tmp_path_factory.mktemp("bundle"))
    return json.loads((folder / "bundle.json").read_text())


def test_what_is_saved_fits(document):
    check_fields(document, "bundle.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preprocess": {"std": [0.2, 0, 0.2]}}, r"preprocess\.std\[1\] is 0; a number above 0"),
        ({"preprocess": {"std": [0.2, 0.2]}}, "preprocess.std has 2 entries for 3 channels"),
        ({"preprocess": {"mean": [0.2, float("nan"), 0]}}, r"preprocess\.mean\[1\] is nan"),
        ({"preprocess": {"size": [8, 0]}}, r"preprocess\.size\[1\] is 0; a whole number from 1"),
        ({"preprocess": {"size": [10**9, 8]}}, r"preprocess\.size\[0\] is 1000000000"),
        ({"preprocess": {"channels": True}}, "preprocess.channels is True; a whole number"),
        ({"preprocess": {"channels": 4, "mean": [0], "std": [1]}}, "the network takes 3 channels"),
        ({"preprocess": {"nonsense": 1}}, "preprocess.'nonsense' is unknown"),
        ({"preprocess": {"full_scale": [[[], 255]]}}, r"full_scale\[0\] is .*name of a type"),
        ({"preprocess": {"nodata": [float("nan")]}}, r"preprocess\.nodata\[0\] is nan"),
        ({"masks": {"values": [0, [1, {}]]}}, r"masks\.values\[1\] is \[1, \{\}\]"),
        ({"masks": {"classes": ["a"]}}, "masks.classes has 1 entries"),
        ({"masks": {"classes": ["a", "b", "c"]}}, "masks.values has 2 entries for 3 classes"),
        ({"masks": {"classes": ["a", "\x1b[2Jb"]}}, r"masks\.classes\[1\] is '\\x1b\[2Jb'"),
        ({"masks": {"classes": ["a", "\u202eb"]}}, r"masks\.classes\[1\] is '\\u202eb'"),
        ({"masks": {"values": [0, "#ff0000"]}}, "both numbers and colours"),
        ({"masks": {"colours": [[0, 0, 0], [0, 0, 256]]}}, r"colours\[1\] is .*0 to 255"),
        ({"task": "multiclass"}, "task is 'multiclass', and there are 2 classes"),
        ({"weights": {"file": "../model.safetensors"}}, "weights.file is"),
        ({"weights": {"file": "..\\model.safetensors"}}, "weights.file is"),
        ({"architecture": {"depth": 10**6}}, "architecture.depth is 1000000; a whole number"),
        ({"architecture": {"width": 10**9}}, "architecture.width is 1000000000"),
        ({"architecture": {"n_classes": 5}}, "has 5 outputs, which do not fit 2 classes"),
        ({"metrics": None}, "metrics is None; a JSON object was expected"),
    ],
)
def test_each_field_is_checked_by_itself_and_against_the_others(document, change, message):
    changed = copy.deepcopy(document)
    for name, value in change.items():
        changed[name] = changed[name] | value if isinstance(value, dict) else value
    expected = rf"^bundle\.json is damaged.*{message}.*Copy the bundle"
    with pytest.raises(BundleError, match=expected):
        check_fields(changed, "bundle.json")


@pytest.mark.parametrize("name", ["format", "task", "masks", "preprocess", "weights"])
def test_a_field_that_is_missing_is_named(document, name):
    with pytest.raises(BundleError, match=f"{name} is missing"):
        check_fields({key: value for key, value in document.items() if key != name}, "x")


def test_every_field_that_is_saved_has_a_rule():
    assert {name.rstrip("?") for name in FIELDS["preprocess"]} == {
        field.name for field in fields(Preprocess)
    }
    written = MaskCodec(("a", "b"), (0, 255)).to_dict().keys()
    assert written == {name.rstrip("?") for name in FIELDS["masks"]} - {"*"}
