"""Names are compared in one form, however a file system or an archive composes them."""

import json
import unicodedata

import cv2
import numpy as np
import pytest

from fastunet.errors import PairingError, SplitError
from fastunet.pairs.file_names import as_on_disk
from fastunet.pairs.find import as_pairs, find_pairs
from fastunet.pairs.groups import relative_names, with_groups
from fastunet.pairs.pair import Pair
from fastunet.pairs.split import load_split
from fastunet.pairs.stated_split import split_as_stated
from fastunet.pairs.table import pairs_from_table

NFC, NFD = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
BOTH_FORMS = [(NFC, NFD), (NFD, NFC)]


def files_of(pairs, root):
    return [
        (p.image.relative_to(root).as_posix(), p.mask.relative_to(root).as_posix()) for p in pairs
    ]


@pytest.fixture(autouse=True)
def _both_forms_are_kept_by_the_disk(touch, tmp_path):
    touch(tmp_path / "probe", NFC)
    if (tmp_path / "probe" / NFD).exists():
        pytest.skip("this file system knows one form only")


@pytest.mark.parametrize(("image", "mask"), BOTH_FORMS)
@pytest.mark.parametrize(
    ("image_file", "mask_file"),
    [
        ("images/{}_1.png", "masks/{}_1.png"),
        ("images/{}_1.png", "masks/{}_1_mask.gif"),
        ("images/{}_1.png", "masks/seg_{}_1.png"),
        ("images/{}/x_1.png", "masks/{}/x_1.png"),
        ("train/{}_1.png", "train_masks/{}_1.png"),
        ("{}_1.jpg", "{}_1_mask.png"),
        ("JPEGImages/{}_1.jpg", "SegmentationClass/{}_1.png"),
    ],
)
def test_images_and_masks_pair_and_keep_the_names_of_their_files(
    touch, tmp_path, image, mask, image_file, mask_file
):
    wanted = (image_file.format(image), mask_file.format(mask))
    touch(tmp_path / "data", *wanted)
    assert files_of(find_pairs(tmp_path / "data"), tmp_path / "data") == [wanted]


@pytest.mark.parametrize(("typed", "stored"), BOTH_FORMS)
def test_what_a_user_types_finds_what_the_disk_holds(touch, tmp_path, typed, stored):
    touch(tmp_path, f"{stored}/images/{stored}.png", f"{stored}/masks/{stored}_{stored}.png")
    assert as_on_disk(tmp_path / typed / "images") == tmp_path / stored / "images"
    pairs = find_pairs(tmp_path, f"{typed}/images", f"{typed}/masks", suffix=f"_{typed}")
    assert len(pairs) == 1
    given = (
        tmp_path / typed / f"images/{typed}.png",
        tmp_path / typed / f"masks/{typed}_{typed}.png",
    )
    assert as_pairs([given])[0].image == pairs[0].image
    assert as_on_disk(tmp_path / typed / "none.png") == tmp_path / stored / "none.png"


@pytest.mark.parametrize(("typed", "stored"), BOTH_FORMS)
def test_a_table_lists_files_in_either_form(touch, tmp_path, typed, stored):
    touch(tmp_path, f"images/{stored}.png", f"masks/{stored}.png")
    table = tmp_path / "pairs.csv"
    table.write_text(f"image,mask\nimages/{typed}.png,masks/{typed}.png\n", "utf-8")
    assert pairs_from_table(table)[0].image == tmp_path / "images" / f"{stored}.png"
    table.write_text(
        f"image,mask\nimages/{NFC}.png,masks/{stored}.png\nimages/{NFD}.png,masks/{stored}.png\n",
        "utf-8",
    )
    with pytest.raises(PairingError, match="more than once"):
        pairs_from_table(table)


@pytest.mark.parametrize(("typed", "stored"), BOTH_FORMS)
def test_splits_name_images_in_either_form(touch, tmp_path, typed, stored):
    root = tmp_path / "data"
    touch(root, "images/a.png", "masks/a.png", f"images/{stored}.png", f"masks/{stored}.png")
    pairs = find_pairs(root)
    file = tmp_path / "split.json"
    file.write_text(
        json.dumps({"format": 1, "train": ["a.png"], "valid": [f"{typed}.png"], "test": []})
    )
    for parts in (
        load_split(pairs, file),
        split_as_stated(pairs, [typed]),
        split_as_stated(pairs, [root / "images" / f"{typed}.png"]),
        split_as_stated(pairs, [(root / f"images/{typed}.png", root / f"masks/{typed}.png")]),
    ):
        assert [pair.image.stem for pair in parts["valid"]] == [stored]


@pytest.mark.parametrize(("typed", "stored"), BOTH_FORMS)
def test_the_lists_of_voc_name_images_in_either_form(touch, tmp_path, typed, stored):
    names = (stored, "a")
    touch(tmp_path, *(f"JPEGImages/{name}.jpg" for name in names))
    touch(tmp_path, *(f"SegmentationClass/{name}.png" for name in names))
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text(f"{typed}\n", "utf-8")
    assert find_pairs(tmp_path).splits == {"train": 1, "valid": 1}


def test_an_expression_for_groups_is_typed_in_either_form(tmp_path):
    pairs = [Pair(tmp_path / f"{NFD}_{n}.png", tmp_path / f"{n}.png") for n in range(2)]
    assert {pair.group for pair in with_groups(pairs, f"({NFC})_")} == {NFC}


@pytest.mark.parametrize(("image", "file"), BOTH_FORMS)
def test_polygons_find_their_image(tmp_path, image, file, monkeypatch):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    done = cv2.imencode(".png", np.zeros((20, 20, 3), np.uint8))[1].tobytes()
    (tmp_path / "images" / f"{image}.png").write_bytes(done)
    (tmp_path / "labels" / f"{file}.txt").write_text("0 0.1 0.1 0.9 0.1 0.9 0.9\n")
    assert len(find_pairs(tmp_path)) == 1
    outline = {"image_id": 1, "category_id": 1, "segmentation": [[2, 2, 18, 2, 18, 18]], "id": 1}
    document = {
        "images": [{"id": 1, "file_name": f"{file}.png", "width": 20, "height": 20}],
        "categories": [{"id": 1, "name": "leaf"}],
        "annotations": [outline],
    }
    (tmp_path / "labels" / f"{file}.txt").unlink()
    (tmp_path / "labels").rmdir()
    (tmp_path / "all.json").write_text(json.dumps(document))
    assert [pair.image.stem for pair in find_pairs(tmp_path)] == [image]


def test_two_files_of_one_name_are_refused_and_shown_apart(touch, tmp_path):
    root = tmp_path / "data"
    touch(root, f"images/{NFC}.png", f"images/{NFD}.png", f"masks/{NFC}.png")
    with pytest.raises(PairingError, match=r"Mu\\u0308ller\.png, .*M\\xfcller\.png"):
        find_pairs(root)
    touch(root, f"images/{NFC}/a.png", f"images/{NFD}/a.png", f"masks/{NFC}/a.png")
    with pytest.raises(PairingError, match=r"Mu\\u0308ller, M\\xfcller"):
        find_pairs(root)


def test_two_images_of_one_name_are_refused_where_names_stand_for_images(tmp_path):
    files = [tmp_path / f"{form}.png" for form in (NFC, NFD)]
    with pytest.raises(SplitError, match=r"M\\xfcller\.png, .*Mu\\u0308ller\.png"):
        relative_names(files)
    assert relative_names([files[0], files[0]]) == {files[0]: f"{NFC}.png"}
