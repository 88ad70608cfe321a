"""A model on disk."""

import json
import pickle

import pytest
import torch

from fastunet.data.masks import MaskCodec
from fastunet.errors import BundleError
from fastunet.inference.bundle import Bundle
from fastunet.models.build import describe
from fastunet.models.unet import UNet
from fastunet.preprocess import Preprocess


@pytest.fixture
def bundle():
    model = UNet(3, 1, depth=1, width=2).to(memory_format=torch.channels_last)
    return Bundle(
        describe(model), model.state_dict(), MaskCodec(("a", "b"), (0, 255)), Preprocess((8, 8)),
        {"dice": 0.5}, threshold=0.25,
    )  # fmt: skip


def test_what_is_saved_is_loaded(bundle, tmp_path):
    folder = bundle.save(tmp_path / "b")
    assert sorted(f.name for f in folder.iterdir()) == ["bundle.json", "model.safetensors"]
    for path in (folder, folder / "bundle.json"):
        again = Bundle.load(path)
        assert (again.architecture, again.codec, again.preprocess, again.metrics) == (
            bundle.architecture, bundle.codec, bundle.preprocess, bundle.metrics
        )  # fmt: skip
        assert again.threshold == 0.25
        torch.testing.assert_close(dict(again.weights), dict(bundle.weights))


def test_the_json_says_what_a_reader_wants_to_know(bundle, tmp_path):
    document = json.loads((bundle.save(tmp_path) / "bundle.json").read_text())
    assert document["task"] == "binary"
    assert document["architecture"]["kind"] == "unet"
    assert document["masks"]["values"] == [0, 255]
    assert document["metrics"] == {"dice": 0.5}
    assert document["threshold"] == 0.25
    assert {"fastunet", "torch", "python"} <= document["versions"].keys()


def test_an_older_bundle_without_a_threshold_decides_at_a_half(bundle, tmp_path):
    path = bundle.save(tmp_path) / "bundle.json"
    path.write_text(path.read_text().replace('"threshold": 0.25,', ""))
    assert Bundle.load(tmp_path).threshold == 0.5


@pytest.mark.parametrize("threshold", ["1.0", "-0.1", "NaN", '"half"', "null"])
def test_a_threshold_that_is_no_probability_is_refused(bundle, tmp_path, threshold):
    path = bundle.save(tmp_path) / "bundle.json"
    path.write_text(path.read_text().replace('"threshold": 0.25', f'"threshold": {threshold}'))
    with pytest.raises(BundleError, match=r"threshold|not supported"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("file", ["bundle.json", "model.safetensors"])
def test_a_bundle_that_is_cut_short_is_refused(bundle, tmp_path, file):
    path = bundle.save(tmp_path) / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BundleError, match=rf"{file}.*cut short"):
        Bundle.load(tmp_path)


def test_weights_that_were_changed_are_refused(bundle, tmp_path):
    path = bundle.save(tmp_path) / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="was changed"):
        Bundle.load(tmp_path)


def test_missing_weights_are_named(bundle, tmp_path):
    (bundle.save(tmp_path) / "model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"model\.safetensors is missing"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("suffix", [".pkl", ".pth", ".pt"])
def test_a_pickle_is_refused_unopened(tmp_path, suffix):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(BundleError, match="is a pickle"):
        Bundle.load(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", ["{}", "[1]", '{"format": 1}', "null", "not json"])
def test_json_that_is_no_bundle_is_refused(tmp_path, content):
    (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(BundleError, match=r"bundle\.json is cut short or not a bundle's"):
        Bundle.load(tmp_path)


def test_a_newer_format_asks_for_an_upgrade(bundle, tmp_path):
    path = bundle.save(tmp_path) / "bundle.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(BundleError, match="newer than this fastunet"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_without_a_bundle_says_what_was_expected(tmp_path, name):
    with pytest.raises(BundleError, match=r"bundle\.json was expected"):
        Bundle.load(tmp_path / name)
