"""Every folder layout is recognised for what it is."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.errors import PairingError
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.pairs.formats.named_folders import IMAGES, MASKS


def touch(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def named(pairs):
    return [(pair.image.name, pair.mask.name, pair.split) for pair in pairs]


def write_mask(file, values, palette=None):
    file.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.fromarray(np.array(values, np.uint8).reshape(1, -1), "P" if palette else "L")
    if palette:
        mask.putpalette(palette)
    mask.save(file)


def infer(pairs):
    return MaskCodec.infer([pair.mask for pair in pairs], pairs.classes, pairs.void or None)


# --- folders called images and masks -------------------------------------------------------------


@pytest.mark.parametrize("images", IMAGES)
def test_image_folders_of_any_common_name(tmp_path, images):
    touch(tmp_path, f"{images.title()}/a.png", "masks/a.png")
    assert find_pairs(tmp_path).layout == f"{images.title()} + masks"


@pytest.mark.parametrize("masks", MASKS)
def test_mask_folders_of_any_common_name(tmp_path, masks):
    touch(tmp_path, "images/a.png", f"{masks.upper()}/a.png")
    assert find_pairs(tmp_path).layout == f"images + {masks.upper()}"


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val", "test"), {"train": 1, "valid": 1, "test": 1}),
        (("Training", "Validation", "Testing"), {"train": 1, "valid": 1, "test": 1}),
        (("tr", "dev"), {"train": 1, "valid": 1}),
    ],
)
@pytest.mark.parametrize(
    ("image", "mask", "layout"),
    [
        ("{}/imgs/{}.jpg", "{}/gt/{}.png", "train|val|test / imgs + gt"),
        ("imgs/{}/{}.jpg", "gt/{}/{}.png", "imgs + gt / train|val|test"),
    ],
)
def test_splits_lie_around_or_inside(tmp_path, names, splits, image, mask, layout):
    for name in names:
        touch(tmp_path, image.format(name, name), mask.format(name, name))
    pairs = find_pairs(tmp_path)
    assert pairs.layout == layout
    assert pairs.splits == splits


def test_a_test_part_without_masks_is_no_concern(tmp_path, recwarn):
    touch(tmp_path, "images/train/a.png", "images/test/b.png", "masks/train/a.png")
    touch(tmp_path, "more/x.png")
    assert named(find_pairs(tmp_path)) == [("a.png", "a.png", "train")]
    assert not recwarn.list


def test_the_folder_that_holds_images_is_taken_where_two_names_would_do(tmp_path):
    touch(tmp_path, "images/a.png", "labels/a.txt", "annotations/a.png", "raw/notes.md")
    assert find_pairs(tmp_path).layout == "images + annotations"


def test_the_only_folder_of_an_unpacked_archive_is_looked_into(tmp_path):
    touch(tmp_path, "cells-v2/data/images/a.png", "cells-v2/data/masks/a.png", "__MACOSX/b.png")
    touch(tmp_path, "cells-v2/README.md")
    assert len(find_pairs(tmp_path)) == 1


@pytest.mark.parametrize("folder", ["train_masks", "train_labels", "trainannot"])
def test_masks_beside_the_training_folder(tmp_path, folder):
    touch(
        tmp_path, "train/a.png", "train/b.png", f"{folder}/a.png", f"{folder}/b.png", "test/c.png"
    )
    pairs = find_pairs(tmp_path)
    assert pairs.layout == f"train + {folder}"
    assert pairs.splits == {"train": 2}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("img{}.jpg", "img{}_mask.png"),
        ("{}.tif", "{}_SEG.tif"),
        ("{}_sat.jpg", "{}_mask.png"),
        ("{}.png", "mask_{}.png"),
        ("patient/x_{}.tif", "patient/x_{}_mask.tif"),
        ("scan.v2.{}.png", "scan.v2.{}.labels.png"),
    ],
)
def test_masks_that_lie_beside_their_images(tmp_path, image, mask):
    for number in (1, 10, 100):
        touch(tmp_path, image.format(number), mask.format(number))
    pairs = find_pairs(tmp_path)
    assert "in one folder" in pairs.layout
    assert sorted((str(p.image.relative_to(tmp_path)), str(p.mask.relative_to(tmp_path)))
                  for p in pairs) == sorted(
        (image.format(n), mask.format(n)) for n in (1, 10, 100))  # fmt: skip


@pytest.mark.parametrize("part", ["", "train/"])
def test_a_folder_of_masks_among_the_images(tmp_path, part):
    touch(tmp_path, *(f"{part}{name}.jpg" for name in "ab"))
    touch(tmp_path, *(f"{part}masks/{name}_m.png" for name in "ab"))
    pairs = find_pairs(tmp_path)
    assert pairs.layout == "x + masks/x"
    assert [pair.mask.name for pair in pairs] == ["a_m.png", "b_m.png"]
    assert not pairs.unpaired_images


def test_masks_beside_their_images_in_split_folders(tmp_path):
    touch(tmp_path, "train/a.jpg", "train/a_mask.png", "valid/b.jpg", "valid/b_mask.png")
    assert find_pairs(tmp_path).splits == {"train": 1, "valid": 1}


# --- public data sets ----------------------------------------------------------------------------


def voc_palette() -> list[int]:
    """VOC's colour map, written out from its definition bit by bit."""
    palette = []
    for index in range(256):
        colour, rest = [0, 0, 0], index
        for place in range(7, -1, -1):
            for channel in range(3):
                colour[channel] |= (rest >> channel & 1) << place
            rest >>= 3
        palette += colour
    return palette


@pytest.mark.parametrize("root", [".", "VOCdevkit/VOC2012", "VOC2007"])
def test_pascal_voc_takes_what_is_listed_and_names_the_classes(tmp_path, root):
    voc = tmp_path / root
    touch(voc, *(f"JPEGImages/{name}.jpg" for name in ("2007_1", "2007_2", "not_segmented")))
    write_mask(voc / "SegmentationClass/2007_1.png", [0, 0, 15, 255], voc_palette())
    write_mask(voc / "SegmentationClass/2007_2.png", [0, 0, 20, 20], voc_palette())
    lists = voc / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_1\n")
    (lists / "val.txt").write_text("2007_2\n")
    (lists / "trainval.txt").write_text("2007_1\n2007_2\n")
    pairs = find_pairs(tmp_path)
    assert pairs.layout == "Pascal VOC"
    assert named(pairs) == [("2007_1.jpg", "2007_1.png", "train"),
                            ("2007_2.jpg", "2007_2.png", "valid")]  # fmt: skip
    assert pairs.void == ("#e0e0c0",)
    codec = infer(pairs)
    assert len(codec.classes) == 21
    assert codec.read(pairs[0].mask).tolist() == [[0, 0, 15, 255]]
    assert codec.classes[15] == "person"
    assert codec.read(pairs[1].mask).tolist() == [[0, 0, 20, 20]]


def test_pascal_voc_rewritten_as_plain_indices_states_no_colours(tmp_path):
    touch(tmp_path, "JPEGImages/2007_000032.jpg", "JPEGImages/2008_000001.jpg")
    write_mask(tmp_path / "SegmentationClass/2007_000032.png", [0, 1, 15, 255])
    touch(tmp_path, "ImageSets/Segmentation/train.txt")
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("2007_000032\n")
    pairs = find_pairs(tmp_path)
    assert (pairs.layout, pairs.classes, pairs.void) == ("Pascal VOC", None, ())
    assert len(pairs) == 1


def write_voc_like(root, values=(0, 0, 1, 255), masks="SegmentationClass", palette=True):
    touch(root, "JPEGImages/a.jpg", "JPEGImages/b.jpg")
    for name in "ab":
        write_mask(root / masks / f"{name}.png", values, voc_palette() if palette else None)


@pytest.mark.parametrize("palette", [True, False])
@pytest.mark.parametrize(
    ("file", "lines"),
    [
        ("class_names.txt", "_background_\ncell\n"),
        ("labels.txt", "__ignore__\n_background_\ncell\n"),
        ("classes.txt", "background\ncell"),
    ],
)
def test_labels_in_vocs_folders_have_the_names_that_are_listed_beside(
    tmp_path, file, lines, palette
):
    write_voc_like(tmp_path, palette=palette)
    (tmp_path / file).write_text(lines)
    pairs = find_pairs(tmp_path)
    assert pairs.layout == f"JPEGImages + SegmentationClass + {file}"
    codec = infer(pairs)
    assert codec.classes == ("background", "cell")
    assert codec.read(pairs[0].mask).tolist() == [[0, 0, 1, 255]]


def test_cvats_label_map_names_the_colours(tmp_path):
    write_voc_like(tmp_path, values=(0, 2, 2, 1))
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nleaf:0,128,0::\nstem:128,0,0::\n"
    )
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "default.txt").write_text("a\nb\n")
    codec = infer(find_pairs(tmp_path))
    assert codec.classes == ("background", "leaf", "stem")
    assert codec.read(tmp_path / "SegmentationClass/a.png").tolist() == [[0, 1, 1, 2]]


def test_vocs_names_are_for_vocs_photos_only(tmp_path):
    write_voc_like(tmp_path, values=(0, 0, 1, 1))
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    pairs = find_pairs(tmp_path)
    assert (pairs.layout, pairs.classes) == ("JPEGImages + SegmentationClass", None)
    assert pairs.splits == {"train": 1, "valid": 1}
    assert len(infer(pairs).classes) == 2


def test_a_list_that_does_not_begin_with_the_background_is_not_guessed_at(tmp_path):
    write_voc_like(tmp_path, values=(0, 0, 1, 1))
    (tmp_path / "classes.txt").write_text("cell\nnucleus\n")
    with pytest.warns(UserWarning, match=r"classes\.txt is not read.*classes=\.\.\."):
        assert find_pairs(tmp_path).classes is None


def test_the_arrays_and_pictures_that_labelme2voc_writes_beside_are_no_masks(tmp_path):
    write_voc_like(tmp_path, masks="SegmentationClassPNG")
    for folder in ("SegmentationClassVisualization", "SegmentationObjectPNG"):
        write_mask(tmp_path / folder / "a.png", [0, 1, 2, 3])
    (tmp_path / "SegmentationClass").mkdir()
    np.save(tmp_path / "SegmentationClass/a.npy", np.zeros((1, 4), np.int32))
    (tmp_path / "class_names.txt").write_text("_background_\ncell\n")
    pairs = find_pairs(tmp_path)
    assert {pair.mask.parent.name for pair in pairs} == {"SegmentationClassPNG"}
    assert infer(pairs).classes == ("background", "cell")


@pytest.mark.parametrize("kind", ["labelIds", "labelTrainIds"])
def test_cityscapes_has_19_classes_and_the_rest_is_void(tmp_path, kind):
    for split, city in (("train", "aachen"), ("train", "bremen"), ("val", "munster")):
        stem = f"{city}_000000_000019"
        touch(tmp_path, f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png")
        masks = tmp_path / f"gtFine/{split}/{city}"
        touch(masks, f"{stem}_gtFine_color.png", f"{stem}_gtFine_instanceIds.png")
        touch(masks, f"{stem}_gtFine_polygons.json")
        write_mask(masks / f"{stem}_gtFine_labelIds.png", [3, 7, 33, 0])
        if kind == "labelTrainIds":
            write_mask(masks / f"{stem}_gtFine_labelTrainIds.png", [255, 0, 18, 255])
    pairs = find_pairs(tmp_path)
    assert pairs.layout == "Cityscapes"
    assert pairs.splits == {"train": 2, "valid": 1}
    assert {p.mask.stem.rpartition("_")[2] for p in pairs} == {kind}
    codec = infer(pairs)
    assert len(codec.classes) == 19
    assert codec.read(pairs[0].mask).tolist() == [[255, 0, 18, 255]]
    assert (codec.classes[0], codec.classes[18]) == ("road", "bicycle")


def test_fastais_camvid_reads_names_void_and_the_listed_part(tmp_path):
    touch(tmp_path, "images/a.png", "images/b.png")
    write_mask(tmp_path / "labels/a_P.png", [0, 2, 1, 2])
    write_mask(tmp_path / "labels/b_P.png", [0, 0, 1, 1])
    (tmp_path / "codes.txt").write_text("Road\nVoid\nSky\n\n")
    (tmp_path / "valid.txt").write_text("b.png\n")
    pairs = find_pairs(tmp_path)
    assert pairs.layout == "images + labels + codes.txt"
    assert named(pairs) == [("a.png", "a_P.png", "train"), ("b.png", "b_P.png", "valid")]
    assert pairs.classes == {"Road": 0, "Void": 1, "Sky": 2}
    assert pairs.void == ("Void",)
    codec = infer(pairs)
    assert codec.classes == ("Road", "Sky")
    assert codec.read(pairs[0].mask).tolist() == [[0, 1, 255, 1]]


@pytest.mark.parametrize(
    ("labels", "void"),
    [
        ({"0": "background", "1": "tumour"}, ()),
        ({"background": 0, "tumour": 1, "ignore": 2}, (2,)),
    ],
)
def test_nnunet_stacks_channel_files_and_reads_both_kinds_of_labels(tmp_path, labels, void):
    for case in ("x_001", "x_002"):
        touch(tmp_path, f"imagesTr/{case}_0000.png", f"imagesTr/{case}_0001.png")
        touch(tmp_path, f"labelsTr/{case}.png")
    touch(tmp_path, "imagesTs/y_0000.png", "imagesTs/y_0001.png", "labelsTs/y.png")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".png"}))
    pairs = find_pairs(tmp_path)
    assert pairs.layout == "nnU-Net"
    assert pairs.splits == {"train": 2, "test": 1}
    assert [file.name for file in pairs[1].image_files] == ["x_002_0000.png", "x_002_0001.png"]
    assert pairs[1].mask.name == "x_002.png"
    assert pairs.classes == {"background": 0, "tumour": 1}
    assert pairs.void == void


def test_nnunet_names_an_image_that_lacks_a_channel(tmp_path):
    touch(tmp_path, "labelsTr/a.png", "labelsTr/b.png", "labelsTr/c.png")
    touch(tmp_path, *(f"imagesTr/{c}_000{i}.png" for c in "abc" for i in (0, 1)))
    (tmp_path / "imagesTr/b_0001.png").unlink()
    with pytest.raises(PairingError, match=r"have 2 channel files.*not b_0000\.png"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "labels cannot be read"), ('{"labels": {"background": "x"}}', "labels cannot be read")],
)
def test_nnunet_says_what_is_wrong_with_dataset_json(tmp_path, text, message):
    touch(tmp_path, "imagesTr/a_0000.png", "labelsTr/a.png")
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(PairingError, match=message):
        find_pairs(tmp_path)


def test_nnunet_volumes_are_refused_by_name(tmp_path):
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    with pytest.raises(PairingError, match=r"holds volumes \(a_0000\.nii\.gz\).*slices"):
        find_pairs(tmp_path)


def test_ade20k_leaves_zero_out_and_reads_the_names(tmp_path):
    for split, short in (("training", "train"), ("validation", "val")):
        touch(tmp_path, f"images/{split}/ADE_{short}_00000001.jpg")
        write_mask(tmp_path / f"annotations/{split}/ADE_{short}_00000001.png", [0, 1, 2, 2])
    (tmp_path / "objectInfo150.txt").write_text(
        "Idx\tRatio\tTrain\tVal\tName\n1\t0.15\t1\t1\twall\n2\t0.1\t1\t1\tbuilding, edifice\n"
    )
    pairs = find_pairs(tmp_path)
    assert pairs.layout == "ADE20K"
    assert pairs.splits == {"train": 1, "valid": 1}
    codec = infer(pairs)
    assert codec.classes == ("wall", "building, edifice")
    assert codec.read(pairs[0].mask).tolist() == [[255, 0, 1, 1]]


def test_oxford_pets_know_pet_background_and_border(tmp_path):
    touch(tmp_path, "images/cat_1.jpg", "images/dog_1.jpg", "images/dog_1.mat")
    touch(tmp_path, "annotations/xmls/cat_1.xml", "annotations/trimaps/._cat_1.png")
    for stem in ("cat_1", "dog_1"):
        write_mask(tmp_path / f"annotations/trimaps/{stem}.png", [1, 2, 3])
    (tmp_path / "annotations/list.txt").write_text("#Image CLASS-ID\ncat_1 1 1 1\n")
    (tmp_path / "annotations/test.txt").write_text("dog_1 2 2 1\n")
    pairs = find_pairs(tmp_path)
    assert pairs.layout == "images + annotations/trimaps"
    assert pairs.splits == {"": 1, "test": 1}
    codec = infer(pairs)
    assert codec.classes == ("background", "pet")
    assert codec.read(pairs[0].mask).tolist() == [[1, 0, 255]]


def test_other_trimaps_say_nothing_of_their_values(tmp_path):
    touch(tmp_path, "images/a.jpg", "annotations/trimaps/a.png")
    pairs = find_pairs(tmp_path)
    assert (len(pairs), pairs.classes, pairs.void) == (1, None, ())


def test_masks_that_exist_come_before_polygons_of_the_same_images(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((4, 4), np.uint8))
    touch(tmp_path, "images/a.png", "masks/a.png", "labels/a.txt", "images/a.json")
    (tmp_path / "annotations.json").write_text("{broken")
    assert find_pairs(tmp_path).layout == "images + masks"
