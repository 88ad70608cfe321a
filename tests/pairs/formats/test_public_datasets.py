"""Public data sets are read as their files are unpacked."""

import json

import numpy as np
import pytest
from photos_and_masks import disc, masks_of, photo, view, write
from PIL import Image

from fastunet.errors import PairingError
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs


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
def test_pascal_voc_takes_what_is_listed_and_names_the_classes(touch, tmp_path, root):
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
    assert named(pairs) == [
        ("2007_1.jpg", "2007_1.png", "train"),
        ("2007_2.jpg", "2007_2.png", "valid"),
    ]
    assert pairs.void == ("#e0e0c0",)
    codec = infer(pairs)
    assert len(codec.classes) == 21
    assert codec.read(pairs[0].mask).tolist() == [[0, 0, 15, 255]]
    assert codec.classes[15] == "person"
    assert codec.read(pairs[1].mask).tolist() == [[0, 0, 20, 20]]


def test_pascal_voc_rewritten_as_plain_indices_states_no_colours(touch, tmp_path):
    touch(tmp_path, "JPEGImages/2007_000032.jpg", "JPEGImages/2008_000001.jpg")
    write_mask(tmp_path / "SegmentationClass/2007_000032.png", [0, 1, 15, 255])
    touch(tmp_path, "ImageSets/Segmentation/train.txt")
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("2007_000032\n")
    pairs = find_pairs(tmp_path)
    assert (pairs.layout, pairs.classes, pairs.void) == ("Pascal VOC", None, ())
    assert len(pairs) == 1


def write_voc_like(root, values=(0, 0, 1, 255), masks="SegmentationClass", palette=True):
    (root / "JPEGImages").mkdir(parents=True)
    for name in "ab":
        (root / "JPEGImages" / f"{name}.jpg").touch()
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


def test_the_palette_of_a_mask_is_read_however_large_it_is(tmp_path, monkeypatch):
    write_voc_like(tmp_path)
    (tmp_path / "labels.txt").write_text("background\ncell\n")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)  # above twice of it Pillow refuses a file
    assert find_pairs(tmp_path).classes == {"background": "#000000", "cell": "#800000"}


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
def test_cityscapes_has_19_classes_and_the_rest_is_void(touch, tmp_path, kind):
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


def test_fastais_camvid_reads_names_void_and_the_listed_part(touch, tmp_path):
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
def test_nnunet_stacks_channel_files_and_reads_both_kinds_of_labels(touch, tmp_path, labels, void):
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


def test_nnunet_names_an_image_that_lacks_a_channel(touch, tmp_path):
    touch(tmp_path, "labelsTr/a.png", "labelsTr/b.png", "labelsTr/c.png")
    touch(tmp_path, *(f"imagesTr/{c}_000{i}.png" for c in "abc" for i in (0, 1)))
    (tmp_path / "imagesTr/b_0001.png").unlink()
    with pytest.raises(PairingError, match=r"have 2 channel files.*not b_0000\.png"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "labels cannot be read"), ('{"labels": {"background": "x"}}', "labels cannot be read")],
)
def test_nnunet_says_what_is_wrong_with_dataset_json(touch, tmp_path, text, message):
    touch(tmp_path, "imagesTr/a_0000.png", "labelsTr/a.png")
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(PairingError, match=message):
        find_pairs(tmp_path)


def test_nnunet_volumes_are_refused_by_name(touch, tmp_path):
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    with pytest.raises(PairingError, match=r"holds volumes \(a_0000\.nii\.gz\).*slices"):
        find_pairs(tmp_path)


def test_ade20k_leaves_zero_out_and_reads_the_names(touch, tmp_path):
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


def test_oxford_pets_know_pet_background_and_border(touch, tmp_path):
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


def test_other_trimaps_say_nothing_of_their_values(touch, tmp_path):
    touch(tmp_path, "images/a.jpg", "annotations/trimaps/a.png")
    pairs = find_pairs(tmp_path)
    assert (len(pairs), pairs.classes, pairs.void) == (1, None, ())


def test_drive_learns_the_vessels_and_not_the_field_of_view(tmp_path):
    for part, numbers in (("training", range(21, 24)), ("test", range(1, 4))):
        write(tmp_path, f"{part}/images/{{:02}}_{part}.tif", photo, numbers)
        write(tmp_path, f"{part}/mask/{{:02}}_{part}_mask.png", view, numbers)
        write(tmp_path, f"{part}/1st_manual/{{:02}}_manual1.png", disc, numbers)
    pairs = find_pairs(tmp_path)
    assert pairs.layout == "DRIVE: images + 1st_manual; mask is the field of view"
    assert pairs.splits == {"train": 3, "test": 3}
    assert masks_of(pairs) == {"1st_manual"}
    assert masks_of(find_pairs(tmp_path, masks="mask")) == {"mask"}


def test_a_part_of_drive_without_vessels_is_left_out_with_a_word(tmp_path):
    write(tmp_path, "training/images/{}_training.tif", photo)
    write(tmp_path, "training/1st_manual/{}_manual1.png", disc)
    write(tmp_path, "test/images/{}_test.tif", photo)
    write(tmp_path, "test/mask/{}_test_mask.png", view)
    with pytest.warns(UserWarning, match="test has no 1st_manual"):
        assert find_pairs(tmp_path).splits == {"train": 5}


def test_hrf_and_chase_learn_the_vessels(tmp_path):
    write(tmp_path / "hrf", "images/{:02}_dr.png", photo)
    write(tmp_path / "hrf", "mask/{:02}_dr_mask.png", view)
    write(tmp_path / "hrf", "manual1/{:02}_dr.png", disc)
    assert find_pairs(tmp_path / "hrf").layout.startswith("HRF")
    assert masks_of(find_pairs(tmp_path / "hrf")) == {"manual1"}
    for side in "LR":
        write(tmp_path / "chase", f"Image_{{:02}}{side}.jpg", photo)
        write(tmp_path / "chase", f"Image_{{:02}}{side}_1stHO.png", disc)
        write(tmp_path / "chase", f"Image_{{:02}}{side}_2ndHO.png", lambda n: disc(n, 9))
    pairs = find_pairs(tmp_path / "chase")
    assert [pair.mask.name for pair in pairs][:2] == ["Image_00L_1stHO.png", "Image_00R_1stHO.png"]
    assert len(pairs) == 10
