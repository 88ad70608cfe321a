"""What `fastunet audit` says of real data sets, written down by looking at them."""

import json
import sys

import pytest

from fastunet import cli

CAMVID = [str(i) for i in range(12)]  # sky ... cyclist; 11 is void only if one says so
CAMVID_NAMES = (
    "sky,building,pole,road,pavement,tree,sign,fence,car,pedestrian,cyclist"  # 11 is void
)

TRUE = {
    "camvid": {
        "layout": "train|val|test / images + masks",
        "pairs": 701,
        "splits": {"train": 367, "valid": 101, "test": 233},
        "task": "multiclass",
        "encoding": "class indices",
        "classes": CAMVID,
        "void": [],
        "channels": 3,
        "bit_depth": 8,
        "sizes": {"360x480": 701},
    },
    "dsb2018": {
        "layout": "images + masks",
        "pairs": 240,
        "splits": {},
        "task": "binary",
        "encoding": "two values",
        "classes": ["background", "foreground"],
        "void": [],
        "channels": 3,  # RGBA files; alpha is no picture
        "bit_depth": 8,
        "sizes": {
            "256x256": 117,
            "256x320": 42,
            "360x360": 33,
            "520x696": 28,
            "1024x1024": 9,
            "512x640": 5,
            "603x1272": 5,
            "260x347": 1,
        },
    },
    "isbi2012": {
        "layout": "images + masks",
        "pairs": 30,
        "splits": {},
        "task": "binary",
        "encoding": "two values",
        "classes": ["background", "foreground"],
        "void": [],
        "channels": 1,
        "bit_depth": 8,
        "sizes": {"512x512": 30},
    },
    "cwfid": {
        "layout": "images + masks",
        "pairs": 12,
        "splits": {},
        "task": "multiclass",
        "encoding": "colours",
        "classes": ["#000000", "#00ff00", "#ff0000"],
        "void": [],
        "channels": 3,
        "bit_depth": 8,
        "sizes": {"966x1296": 12},
    },
    "carvana": {
        "layout": "train + train_masks",
        "pairs": 20,
        "splits": {"train": 16, "valid": 4},
        "task": "binary",
        "encoding": "two values",  # the palette of the GIF files is black and white
        "classes": ["background", "foreground"],
        "void": [],
        "channels": 3,
        "bit_depth": 8,
        "sizes": {"1280x1918": 20},
    },
}

FINDINGS = {
    # two of the four videos were cut into parts; frames follow each other closely, but where the
    # parts meet no picture is a copy of one in another part
    "camvid": {
        "group-across-splits": "warning",
        "near-duplicate": "note",
        "resolution-loss": "warning",  # the poles
    },
    "dsb2018": {"grey-as-colour": "note"},  # 39 stained tissues among 201 fluorescence pictures
    "isbi2012": {},
    "cwfid": {},
    "carvana": {},  # four cars to train on, another one to validate on
}


SIZE = ("--size", 128)  # the default of a CPU, on any machine


_SAID: dict[tuple, tuple[int, dict]] = {}


@pytest.fixture
def audit(monkeypatch, capsys):
    """`fastunet audit ... --json`: (exit code, the JSON object). Each is run once."""

    def command(*words):
        if words in _SAID:
            return _SAID[words]
        monkeypatch.setattr(sys, "argv", ["fastunet", "audit", *map(str, words), "--json"])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        _SAID[words] = code, json.loads(capsys.readouterr().out)
        return _SAID[words]

    return command


@pytest.mark.parametrize("name", TRUE)
def test_audit_tells_the_truth_about(shared, audit, name):
    code, said = audit(shared(name), *SIZE)
    assert {key: said[key] for key in TRUE[name]} == TRUE[name]
    assert {f["code"]: f["severity"] for f in said["findings"]} == FINDINGS[name]
    assert code == 0
    assert said.keys() == {*TRUE[name], "findings", "class_frequencies", "resolution"}


def test_the_videos_that_camvid_tears_apart(shared, audit):
    _, said = audit(shared("camvid"), "--quick")  # names are enough
    (torn,) = said["findings"]
    assert "0001TP in train, test; 0016E5 in train, valid" in torn["message"]
    assert torn["count"] == 2
    assert len(torn["files"]) == 62 + 62 + 204 + 101  # counted in the folders


def test_the_grey_pictures_of_dsb2018(shared, audit):
    _, said = audit(shared("dsb2018"), *SIZE)
    assert said["findings"][0]["count"] == 201


def test_class_frequencies_are_those_counted_by_hand(shared, audit):
    """Pixels per class counted with numpy.unique over all mask files."""
    _, said = audit(shared("cwfid"), *SIZE)
    total = 13_750_624 + 251_822 + 1_020_786
    assert said["class_frequencies"]["all"] == {
        "#000000": round(13_750_624 / total, 6),
        "#00ff00": round(251_822 / total, 6),
        "#ff0000": round(1_020_786 / total, 6),
    }


@pytest.mark.parametrize("name", ["dsb2018", "isbi2012", "cwfid", "carvana"])
def test_sets_that_train_well_at_128_pixels_keep_their_classes(shared, audit, name):
    _, said = audit(shared(name), *SIZE)
    assert 0.85 < min(said["resolution"]["best_dice"].values()) < 1


def test_camvid_with_its_names_and_void(shared, audit):
    code, said = audit(shared("camvid"), "--classes", CAMVID_NAMES, "--void", 11, *SIZE)
    assert code == 0
    assert said["classes"] == CAMVID_NAMES.split(",")
    assert said["void"] == [11]
    # 16.845 % of all train pixels are sky, 3.948 % are void and do not count
    sky = said["class_frequencies"]["train"]["sky"]
    assert sky == pytest.approx(0.16845 / (1 - 0.03948), abs=1e-4)
    (loss,) = [finding for finding in said["findings"] if finding["code"] == "resolution-loss"]
    assert loss["count"] == 1
    assert "0.72 for pole" in loss["message"]
    assert loss["remedy"].startswith("Pass size=192,")
    best = said["resolution"]["best_dice"]
    assert min(dice for name, dice in best.items() if name != "pole") > 0.85
