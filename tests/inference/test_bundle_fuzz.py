"""Bundles from strangers: damaged or forged, they are refused in plain words or work as they say.

An accident leaves the checksums as they were; a forger computes them again. Each load is timed, its
memory is measured, and no connection can be opened.
"""

import copy
import hashlib
import json
import os
import socket
import tempfile
import time
import unicodedata
import warnings
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastunet.errors import FastunetError
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle, checksum
from fastunet.masks.codec import MaskCodec
from fastunet.masks.codes import CodeKind
from fastunet.models.build import describe
from fastunet.models.fastai_unet import FastaiUNet
from fastunet.models.timm_unet import TimmUNet
from fastunet.models.unet import UNet
from fastunet.preprocess import Preprocess

PHOTO = np.random.default_rng(0).integers(0, 256, (37, 45, 3), dtype=np.uint8)
SECONDS, MEMORY = 10, 1_000_000_000  # that one load may take, whatever it is given


# --- whole bundles -------------------------------------------------------------------------------


def binary() -> Bundle:
    model = UNet(3, 1, depth=2, width=4)
    codec, preprocess = MaskCodec(("off", "on"), (0, 255)), Preprocess((32, 32))
    return Bundle(describe(model), model.state_dict(), codec, preprocess, {"dice": 0.5})


def several_classes() -> Bundle:
    model = UNet(3, 3, depth=1, width=4, norm="group", residual=True, attention=True)
    codec = MaskCodec(
        ("a", "b", "c"),
        (0, 0xFF0000, 0x00FF00),
        (0xFFFFFF,),
        ((0xFE0000, 1),),
        CodeKind.COLOUR,
    )
    preprocess = Preprocess(
        (16, 24),
        values="float",
        policy="patch",
        scale=0.5,
        low=(0, 0, 0),
        high=(255, 250, 245),
        nodata=(-9999, -3.4e38),
        full_scale=(("uint8", 255), ("uint16", 65_535)),
        brightest=(0.1, 1),
        orientation="stored",
    )
    return Bundle(describe(model), model.state_dict(), codec, preprocess)


def over_timm() -> Bundle:
    model = TimmUNet("test_resnet", decoder_channels=[8, 8, 8, 8, 4], drop_path_rate=0.1)
    codec, preprocess = MaskCodec(("off", "on"), (0, 1)), Preprocess((32, 32))
    return Bundle(describe(model), model.state_dict(), codec, preprocess, threshold=0.25)


def of_smp() -> Bundle:
    import segmentation_models_pytorch as smp

    options = {"encoder_depth": 3, "decoder_channels": (8, 8, 4), "classes": 3}
    model = smp.Unet("tu-test_resnet", encoder_weights=None, **options)
    codec, preprocess = MaskCodec(("a", "b", "c"), (0, 1, 2)), Preprocess((32, 32))
    return Bundle(describe(model), model.state_dict(), codec, preprocess)


def of_fastai() -> Bundle:
    model = FastaiUNet("squeezenet1_1", size=(32, 32))
    codec, preprocess = MaskCodec(("off", "on"), (0, 1)), Preprocess((32, 32))
    return Bundle(describe(model), model.state_dict(), codec, preprocess)


BASES = {make.__name__: make for make in (binary, several_classes, over_timm, of_fastai)}
if find_spec("segmentation_models_pytorch"):
    BASES["of_smp"] = of_smp


@cache
def whole(base: str) -> tuple[dict, bytes, np.ndarray]:
    """The JSON, the weights and the prediction of a bundle."""
    with tempfile.TemporaryDirectory() as place:
        torch.manual_seed(0)
        folder = BASES[base]().save(Path(place) / "b")
        document = json.loads((folder / "bundle.json").read_bytes())
        weights = (folder / "model.safetensors").read_bytes()
        return document, weights, Segmenter.load(folder, "cpu").probabilities(PHOTO)


@pytest.fixture(autouse=True, scope="module")
def _made_once():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for base in BASES:
            whole(base)


# --- damage --------------------------------------------------------------------------------------

NONSENSE = [
    *(None, True, False, "", "x", "3", "nan", [], {}, [[]], [None], {"a": 1}),
    *(-1, 0, 1, 2, 3, 7, 0.1, 0.9, 3.5, 1e9, -1e300, 10**6, 10**9, 2**31, 2**63, 10**400),
    *(float("nan"), float("inf"), -float("inf"), 1e-300, 5e-324),
    *("../x", "/etc/passwd", "a/b", "\x00", "\x1b[2J", "\u202eevil", "\ud800"),
    *("é" * 300, "x" * 10**5, "vit_giant_patch14_224"),
    *([1, 2, 3, 4], [1] * 1000, [[[[[[[[1]]]]]]]], [10**6] * 4, {"size": [3, 3]}),
    *("hf-hub:a/b", "tu-hf-hub:a/b", "local-dir:/tmp", "resnet18", "tu-resnet18"),
    *("unet", "timm", "fastai", "smp", "module", "UnetPlusPlus", "DPT", "mit_b0", "resnet34"),
    *("#00ff00", "=1+1", "batch", "bilinear", "patch", "resize", "uint8", "float"),
]
# What a network of some kind takes, so that more than the first look is tried.
FITTING = [
    *(1, 2, 3, 4, 8, 16, 0.1, 0.5, True, False, None, "batch", "group", "bilinear", "relu", "gelu"),
    *([1, 2, 3], [8, 8], [8, 8, 4], [32, 32], [4096] * 4, [16384, 16384], {"drop_rate": 0.5}),
    *("resnet18", "resnet50", "tu-resnet18", "mit_b0", "test_vit", "vit_tiny_patch16_224"),
    *("Unet", "UnetPlusPlus", "FPN", "DeepLabV3Plus", "Segformer", "swin_tiny_patch4_window7_224"),
    *("#00ff00", "patch", "resize", "uint8", "float", "index", "colour", "multiclass", 255, 4096),
]
RGB = {"in_channels": 3, "n_classes": 1}
ABSURD = [
    {"kind": "unet", **RGB, "depth": 10**6},
    {"kind": "unet", **RGB, "depth": 16, "width": 8192},
    {"kind": "timm", "encoder": "vit_giant_patch14_224", **RGB},
    {"kind": "timm", "encoder": "test_resnet", **RGB, "layers": [60_000] * 4},
    {"kind": "timm", "encoder": "test_vit", **RGB, "depth": 60_000},
    {"kind": "timm", "encoder": "hf-hub:timm/resnet18.a1_in1k", **RGB},
    {"kind": "fastai", "encoder": "resnet18", **RGB, "size": [16384, 16384]},
    {"kind": "fastai", "encoder": "vit_h_14", **RGB, "size": [224, 224]},
    {"kind": "fastai", "encoder": "regnet_y_128gf", **RGB, "size": [64, 64]},
    {"kind": "smp", "network": "Unet", "options": {"encoder_name": "tu-hf-hub:timm/resnet18"}},
    {"kind": "smp", "network": "Unet", "options": {"encoder_name": "tu-local-dir:/tmp"}},
    {"kind": "smp", "network": "Unet", "options": {"encoder_name": "tu-vit_giant_patch14_224"}},
    {"kind": "smp", "network": "DPT", "options": {"encoder_name": "tu-vit_base_patch16_224"}},
    {"kind": "smp", "network": "Unet", "options": {"decoder_channels": [60_000] * 5}},
    {"kind": "smp", "network": "FPN", "options": {"upsampling": 64, "encoder_name": "mit_b5"}},
    {"kind": "module", "class": "os.system"},
]
NAMES = ["weights", "depths", "pretrained", "checkpoint_path", "img_size", "depth", "width", "mean"]


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The paths to all that lies in a nest of dicts and lists."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((*path, key))
        if isinstance(value[key], dict | list):
            found += places(value[key], (*path, key))
    return found


def changed(draw, document: dict) -> dict:
    """One to three values replaced, scaled, left out, added or repeated."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        every = places(document)
        if not every:
            break
        inner = [place for place in every if place[0] in ("architecture", "preprocess")]
        *way, last = draw(st.sampled_from(draw(st.sampled_from([every, inner or every]))))
        inside = document
        for key in way:
            inside = inside[key]
        value = inside[last]
        actions = ["replace", "fitting", "fitting", "scale", "remove", "add", "wrap", "absurd"]
        action = draw(st.sampled_from(actions))
        if action == "scale" and type(value) in (int, float):
            inside[last] = value * draw(st.sampled_from([-1, 0, 0.5, 2, 3, 1000, 10**6]))
        elif action == "fitting" and isinstance(value, bool):
            inside[last] = not value
        elif action == "fitting" and isinstance(value, int | float | str | None):
            alike = [one for one in FITTING if type(one) is type(value)] or FITTING
            inside[last] = copy.deepcopy(draw(st.sampled_from(alike)))
        elif action == "absurd" and "architecture" in document:
            document["architecture"] = copy.deepcopy(draw(st.sampled_from(ABSURD)))
        elif action == "remove":
            del inside[last]
        elif action == "wrap":
            inside[last] = [value, copy.deepcopy(value)]
        elif action == "add" and isinstance(inside, list):
            inside.append(copy.deepcopy(value))
        elif action == "add":
            inside[draw(st.sampled_from(NAMES))] = copy.deepcopy(draw(st.sampled_from(NONSENSE)))
        else:
            inside[last] = copy.deepcopy(draw(st.sampled_from(NONSENSE)))
    return document


def damaged_bytes(draw, data: bytes) -> bytes:
    """Cut short, lengthened, or with some bytes changed."""
    action = draw(st.sampled_from(["cut", "flip", "flip", "start", "lengthen", "empty"]))
    if action == "cut":
        return data[: draw(st.integers(0, len(data) - 1))]
    if action == "lengthen":
        return data + draw(st.binary(min_size=1, max_size=20))
    if action == "empty":
        return b""
    spoiled = bytearray(data)
    within = min(len(data), 600) if action == "start" else len(data)
    for _ in range(draw(st.integers(1, 4))):
        spoiled[draw(st.integers(0, within - 1))] = draw(st.integers(0, 255))
    return bytes(spoiled)


def with_header(weights: bytes, header: dict) -> bytes:
    length = int.from_bytes(weights[:8], "little")
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + weights[8 + length :]


def header_of(weights: bytes) -> dict:
    return json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])


def sealed(document: dict, weights: bytes | None = None) -> dict:
    """As a forger would write it: with every checksum computed again."""
    document = copy.deepcopy(document)
    if weights is not None and isinstance(document.get("weights"), dict):
        document["weights"]["bytes"] = len(weights)
        document["weights"]["sha256"] = hashlib.sha256(weights).hexdigest()
    return {**document, "checksum": checksum(document)}


WAYS = [
    *("values", "text", "weights", "files", "forged", "forged", "forged", "forged"),
    *("forged weights", "forged header"),
]
FILES = ["missing", "folder", "pipe", "sparse", "device", "loop", "nowhere", "empty", "large"]


@st.composite
def strange(draw, bases=tuple(BASES)):
    """Base, how it was damaged or forged, the JSON's text, the weights, and odd files."""
    base = draw(st.sampled_from(sorted(bases)))
    document, weights, _ = whole(base)
    how = draw(st.sampled_from(WAYS))
    odd = {}
    if how in ("values", "forged"):
        document = changed(draw, document)
    if how == "forged":
        document = sealed(document)
    text = json.dumps(document).encode("utf-8", "surrogatepass")
    if how == "text":
        text = draw(st.sampled_from([damaged_bytes(draw, text), b"[" * 10**5, b"1" * 10**5]))
    if "weights" in how:
        weights = damaged_bytes(draw, weights)
    if how == "forged header":
        weights = with_header(weights, changed(draw, header_of(weights)))
    if how in ("forged weights", "forged header"):
        text = json.dumps(sealed(document, weights)).encode()
    if how == "files":
        name = draw(st.sampled_from(["bundle.json", "model.safetensors", "run.json"]))
        odd[name] = draw(st.sampled_from(FILES))
    return base, how, text, weights, odd


def write(folder: Path, text: bytes, weights: bytes, odd: dict[str, str]) -> None:
    folder.mkdir()
    (folder / "bundle.json").write_bytes(text)
    (folder / "model.safetensors").write_bytes(weights)
    for name, what in odd.items():
        file = folder / name
        file.unlink(missing_ok=True)
        if what == "folder":
            file.mkdir()
        elif what == "pipe":
            os.mkfifo(file)
        elif what in ("device", "loop", "nowhere"):
            to = {"device": "/dev/zero", "loop": file, "nowhere": folder / "none"}[what]
            file.symlink_to(to)
        elif what == "large":
            file.write_bytes(b"[" + b"1," * 5_000_000 + b"1]")
        elif what != "missing":
            with file.open("wb") as opened:
                opened.truncate(10**12 if what == "sparse" else 0)


# --- what must hold ------------------------------------------------------------------------------


@contextmanager
def no_network():
    """Yields the list of what was asked for: a refusal alone might be taken for another fault."""
    asked = []

    def refuse(*args, **_options):
        asked.append(args[-1])
        raise OSError("there is no network here")

    with (
        mock.patch.multiple(socket.socket, connect=refuse, connect_ex=refuse),
        mock.patch.object(socket, "getaddrinfo", refuse),
    ):
        yield asked


def peak_memory(reset: bool = False) -> int:
    """Bytes that this process has held at most, since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def load(folder: Path) -> tuple[Segmenter | FastunetError, float, int]:
    """What is loaded, or the refusal; seconds of the processor and bytes that it took."""
    measured = os.access("/proc/self/clear_refs", os.W_OK)
    before = peak_memory(reset=True) if measured else 0
    start = time.process_time()
    try:
        found = Segmenter.load(folder, "cpu")
    except FastunetError as error:
        found = error
    seconds = time.process_time() - start
    return found, seconds, peak_memory() - before if measured else 0


def check(case) -> tuple[str, float, int]:
    base, how, text, weights, odd = case
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place) / "b"
        write(folder, text, weights, odd)
        with no_network() as asked:
            found, seconds, memory = load(folder)
    assert not asked
    assert seconds < SECONDS
    assert memory < MEMORY
    if isinstance(found, FastunetError):
        assert 20 < len(str(found)) < 3000
        assert not [c for c in str(found) if unicodedata.category(c) in ("Cc", "Cs")]
        return "refused", seconds, memory
    if how.startswith("forged"):
        _works_as_it_says(found)
    else:
        assert np.array_equal(found.probabilities(PHOTO), whole(base)[2])
        assert found.threshold == sealed(whole(base)[0])["threshold"]
    return "loaded", seconds, memory


def _works_as_it_says(segmenter: Segmenter) -> None:
    for name in segmenter.classes:
        assert not [c for c in name if unicodedata.category(c) in ("Cc", "Cs")]
    if max(segmenter.preprocess.size) > 256 or segmenter.preprocess.scale > 4:
        return  # right or not, it takes too long here
    try:
        mask = segmenter.predict(PHOTO)
    except FastunetError:  # such as for other channels
        return
    assert mask.shape == PHOTO.shape[:2]
    assert mask.max() < len(segmenter.classes)


QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=2500, suppress_health_check=list(HealthCheck))


@QUICK
@given(strange())
def test_a_strange_bundle_is_refused_or_works_as_it_says(case):
    check(case)


@pytest.mark.slow
@LONG
@given(strange())
def test_a_strange_bundle_is_refused_or_works_as_it_says_at_length(case):
    check(case)
