"""A model on disk."""

import hashlib
import json
import pickle
import threading
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as save_tensors

from fastunet.data.masks import MaskCodec
from fastunet.errors import BundleError, OutputError
from fastunet.files import write_atomically
from fastunet.inference.bundle import Bundle
from fastunet.models.build import describe
from fastunet.models.unet import UNet
from fastunet.preprocess import Preprocess
from fastunet.run_folder import RunFolder


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


# --- saving over another --------------------------------------------------------------------------


def another(bundle, by=1.0):
    return replace(bundle, weights={name: t + by for name, t in bundle.weights.items()})


def test_a_bundle_is_replaced_again_and_again_and_nothing_is_left_of_the_old_ones(bundle, tmp_path):
    for step in range(4):
        saved = another(bundle, step)
        saved.save(tmp_path)
        torch.testing.assert_close(dict(Bundle.load(tmp_path).weights), dict(saved.weights))
        assert len(list(tmp_path.iterdir())) == 2


def test_the_same_bundle_can_be_saved_twice(bundle, tmp_path):
    for _ in range(3):
        bundle.save(tmp_path)
        torch.testing.assert_close(dict(Bundle.load(tmp_path).weights), dict(bundle.weights))
    assert len(list(tmp_path.iterdir())) == 2


def test_weights_of_another_program_stay(bundle, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"mine")
    for step in range(2):
        another(bundle, step).save(tmp_path)
        assert (tmp_path / "model.safetensors").read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 3
    Bundle.load(tmp_path)


@pytest.mark.parametrize("content", ["{}", '{"name": "webpack"}', "[1]", "not json"])
def test_a_bundle_json_of_another_program_stays(bundle, tmp_path, content):
    (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(BundleError, match=r"bundle\.json is there already and is not a bundle's"):
        bundle.save(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["bundle.json"]
    assert (tmp_path / "bundle.json").read_text() == content


def test_a_file_in_the_place_of_the_folder_is_named(bundle, tmp_path):
    (tmp_path / "afile").touch()
    with pytest.raises(OutputError, match="file where a folder was meant"):
        bundle.save(tmp_path / "afile")


@pytest.mark.parametrize("step", range(1, 4))
def test_whenever_saving_is_cut_off_the_old_bundle_or_the_new_one_is_whole(
    bundle, tmp_path, monkeypatch, step
):
    """The steps are the two writes and the removal of the old weights."""
    bundle.save(tmp_path)
    new, calls = another(bundle), []

    def cut(original):
        def wrapped(*args, **kwargs):
            calls.append(original)
            if len(calls) == step:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        module = "fastunet.inference.bundle"
        patch.setattr(f"{module}.write_atomically", cut(write_atomically))
        patch.setattr(Path, "unlink", cut(Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            new.save(tmp_path)
    expected = bundle if step < 3 else new
    torch.testing.assert_close(dict(Bundle.load(tmp_path).weights), dict(expected.weights))
    bundle.save(tmp_path)
    torch.testing.assert_close(dict(Bundle.load(tmp_path).weights), dict(bundle.weights))


def test_whoever_reads_while_it_is_replaced_gets_a_whole_bundle(bundle, tmp_path):
    bundles = [another(bundle, by) for by in (0.0, 1.0)]
    bundles[0].save(tmp_path)
    stop, name = threading.Event(), "enc.0.1.bias"

    def write():
        for step in count(1):
            if stop.is_set():
                return
            bundles[step % 2].save(tmp_path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {float(Bundle.load(tmp_path).weights[name][0])
                for _ in range(200)}  # fmt: skip
    finally:
        stop.set()
        writer.join()
    assert len(seen) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(bundle, tmp_path, value):
    bundle.save(tmp_path)
    spoiled = {name: t.clone().contiguous() for name, t in bundle.weights.items()}
    name = list(spoiled)[-1]
    spoiled[name].view(-1)[0] = value
    with pytest.raises(BundleError, match=f"{name} are not finite"):
        replace(bundle, weights=spoiled)
    blob = save_tensors(spoiled)
    (tmp_path / "model.safetensors").write_bytes(blob)
    document = json.loads((tmp_path / "bundle.json").read_text())
    document["weights"] |= {"bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
    (tmp_path / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(BundleError, match=f"{name} are not finite"):
        Bundle.load(tmp_path)


def test_of_an_unfinished_run_the_best_epoch_is_named_and_loads(bundle, tmp_path):
    with RunFolder.claim(tmp_path / "r") as run:
        with pytest.raises(BundleError, match=r"not finished.*no model yet"):
            Bundle.load(run.path)
        bundle.save(run.work / "best")
        with pytest.raises(BundleError, match=rf"not finished.*{run.path / 'best'}"):
            Bundle.load(run.path)
        Bundle.load(run.path / "best")


# --- what is refused ------------------------------------------------------------------------------


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
