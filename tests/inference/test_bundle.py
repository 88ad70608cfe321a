"""A model on disk."""

import hashlib
import json
import os
import pickle
import threading
import warnings
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as save_tensors

from fastunet._util.files import write_atomically
from fastunet.errors import BundleError, OutputError
from fastunet.inference.bundle import Bundle, checksum
from fastunet.masks.codec import MaskCodec
from fastunet.models.build import describe
from fastunet.models.unet import UNet
from fastunet.preprocess import Preprocess
from fastunet.runs.run_folder import RunFolder


@pytest.fixture
def bundle():
    model = UNet(3, 1, depth=1, width=2).to(memory_format=torch.channels_last)
    return Bundle(
        architecture=describe(model),
        weights=model.state_dict(),
        codec=MaskCodec(("a", "b"), (0, 255)),
        preprocess=Preprocess((8, 8)),
        metrics={"dice": 0.5},
        threshold=0.25,
    )


def test_what_is_saved_is_loaded(bundle, tmp_path):
    folder = bundle.save(tmp_path / "b")
    assert sorted(f.name for f in folder.iterdir()) == ["bundle.json", "model.safetensors"]
    for path in (folder, folder / "bundle.json"):
        again = Bundle.load(path)
        for name in ("architecture", "codec", "preprocess", "metrics", "threshold"):
            assert getattr(again, name) == getattr(bundle, name)
        torch.testing.assert_close(dict(again.weights), dict(bundle.weights))


def test_the_json_says_what_a_reader_wants_to_know(bundle, tmp_path):
    document = json.loads((bundle.save(tmp_path) / "bundle.json").read_text())
    assert document["task"] == "binary"
    assert document["architecture"]["kind"] == "unet"
    assert document["masks"]["values"] == [0, 255]
    assert document["metrics"] == {"dice": 0.5}
    assert document["threshold"] == 0.25
    assert {"fastunet", "torch", "python"} <= document["versions"].keys()


def edit(folder: Path, change, forge: bool = True) -> None:
    """Change the JSON of a bundle; who forges it computes its checksum again."""
    document = json.loads((folder / "bundle.json").read_text())
    change(document)
    if forge:
        document["checksum"] = checksum(document)
    (folder / "bundle.json").write_text(json.dumps(document))


def as_format_1(document: dict) -> None:
    document["format"] = 1
    del document["checksum"]


def test_an_older_bundle_loads_and_what_is_not_protected_is_said(bundle, tmp_path):
    bundle.save(tmp_path)
    edit(tmp_path, as_format_1, forge=False)
    edit(tmp_path, lambda document: document.pop("threshold"), forge=False)
    with pytest.warns(UserWarning, match=r"older fastunet, without a checksum.*threshold"):
        assert Bundle.load(tmp_path).threshold == 0.5
    with pytest.warns(UserWarning, match="older"):
        Bundle.load(tmp_path).save(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Bundle.load(tmp_path)


CHANGES = {
    "threshold": lambda document: document.update(threshold=0.26),
    "std": lambda document: document["preprocess"]["std"].__setitem__(1, 0.26),
    "name": lambda document: document["masks"]["classes"].reverse(),
    "colour": lambda document: document["masks"]["colours"][1].reverse(),
    "metric": lambda document: document["metrics"].update(dice=0.99),
    "checksum": lambda document: document.pop("checksum"),
    "format": lambda document: document.update(format=1),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_the_json_is_noticed(bundle, tmp_path, what):
    bundle.save(tmp_path)
    edit(tmp_path, CHANGES[what], forge=False)
    with pytest.raises(BundleError, match=r"bundle\.json was changed .*Copy the bundle again"):
        Bundle.load(tmp_path)


def test_the_layout_of_the_json_and_the_order_in_it_may_change(bundle, tmp_path):
    path = bundle.save(tmp_path) / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert Bundle.load(tmp_path).threshold == 0.25


@pytest.mark.parametrize("threshold", [1.0, -0.1, float("nan"), "half", None])
def test_a_threshold_that_is_no_probability_is_refused(bundle, tmp_path, threshold):
    bundle.save(tmp_path)
    edit(tmp_path, lambda document: document.update(threshold=threshold))
    with pytest.raises(BundleError, match=r"threshold is .*; a probability .* was expected"):
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
        loaded = (Bundle.load(tmp_path).weights for _ in range(200))
        seen = {float(weights[name][0]) for weights in loaded}
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
    there = {"bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
    edit(tmp_path, lambda document: document["weights"].update(there))
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
    with pytest.raises(BundleError, match=r"model\.safetensors cannot be read: it does not exist"):
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
    with pytest.raises(BundleError, match=r"bundle\.json is .*cut short or not a bundle's"):
        Bundle.load(tmp_path)


def test_a_newer_format_asks_for_an_upgrade(bundle, tmp_path):
    bundle.save(tmp_path)
    edit(tmp_path, lambda document: document.update(format=99))
    with pytest.raises(BundleError, match="newer than this fastunet"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_without_a_bundle_says_what_was_expected(tmp_path, name):
    with pytest.raises(BundleError, match=r"bundle\.json was expected"):
        Bundle.load(tmp_path / name)


@pytest.mark.parametrize("name", ["bundle.json", "model.safetensors", "run.json"])
def test_a_pipe_a_folder_or_a_device_is_not_waited_for(bundle, tmp_path, name):
    for number, make in enumerate((os.mkfifo, Path.mkdir, lambda p: p.symlink_to("/dev/zero"))):
        folder = bundle.save(tmp_path / str(number))
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
        if name == "run.json":  # says nothing then
            Bundle.load(folder)
        else:
            with pytest.raises(BundleError, match=rf"{name} is a (pipe|folder)"):
                Bundle.load(folder)


def test_a_bundle_may_be_linked_file_by_file(bundle, tmp_path):
    folder = bundle.save(tmp_path / "b")
    (tmp_path / "links").mkdir()
    for file in folder.iterdir():
        (tmp_path / "links" / file.name).symlink_to(file)
    assert Bundle.load(tmp_path / "links").threshold == 0.25


def test_a_json_of_many_megabytes_is_not_read(bundle, tmp_path):
    path = bundle.save(tmp_path) / "bundle.json"
    with path.open("r+b") as file:
        file.truncate(10**12)  # sparse: it takes no room on the disk
    with pytest.raises(BundleError, match=r"1,000,000,000,000 bytes; at most"):
        Bundle.load(tmp_path)


def test_saving_over_a_bundle_removes_no_file_but_weights(bundle, tmp_path):
    bundle.save(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    edit(tmp_path, lambda document: document["weights"].update(file="photo.jpg"))
    bundle.save(tmp_path)
    assert (tmp_path / "photo.jpg").read_bytes() == b"mine"


def test_names_that_would_not_load_are_saved_as_they_can_be_shown(bundle, tmp_path):
    names = ("a\x1b[2J", "b" * 5000)
    replace(bundle, codec=MaskCodec(names, (0, 255))).save(tmp_path)
    assert Bundle.load(tmp_path).codec.classes == ("a\\x1b[2J", "b" * 1000)


def test_what_could_not_be_loaded_is_not_saved(bundle, tmp_path):
    for change, message in (
        ({"architecture": {**bundle.architecture, "depth": 99}}, "architecture.depth is 99"),
        ({"training": {"how": object()}}, "JSON does not hold"),
        ({"training": {"how": "x" * 5_000_000}}, "Hand over fewer facts"),
    ):
        with pytest.raises(BundleError, match=message):
            replace(bundle, **change).save(tmp_path / "b")
        assert list((tmp_path / "b").iterdir()) == []
