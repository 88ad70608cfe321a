"""Public data sets with a layout of their own, as their files are unpacked."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from fastunet._util.text import listing
from fastunet._util.warn import warn
from fastunet.errors import PairingError
from fastunet.io.extensions import is_image
from fastunet.io.images import open_lazily
from fastunet.pairs.file_names import split_named, stem_of
from fastunet.pairs.formats.layout import Folder, Layout, Part
from fastunet.pairs.formats.named_folders import IMAGES, images_and_masks, two_folders
from fastunet.pairs.matching import Rule
from fastunet.pairs.pair import Split

_VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
_VOC_PHOTO = re.compile(r"20(?:0[5-9]|1[0-2])_\d+")  # how its images are called
_CVAT_ROW = re.compile(r"([^:]*):\s*(\d+),\s*(\d+),\s*(\d+)\s*(?::.*)?")  # name:r,g,b:parts
_CLASS_FILES = ("class_names.txt", "labelmap.txt", "labels.txt", "classes.txt")
_BACKGROUND = ("background", "bg", "unlabeled", "unlabelled")

Palette = Sequence[str]  # "#rrggbb" of each index


def pascal_voc(root: Folder) -> Layout | None:
    """JPEGImages/ + SegmentationClass/, of which ImageSets/Segmentation lists what is annotated.

    labelme2voc and CVAT write this layout too, with classes of their own.
    """
    root = root.find("VOCdevkit/VOC2012", "VOC2012", "VOCdevkit/VOC2007", "VOC2007") or root
    images, masks = root.find("JPEGImages"), root.find("SegmentationClassPNG", "SegmentationClass")
    if not images or not masks:
        return None
    lists = root.find("ImageSets/Segmentation")
    listed: dict[str, Split] = {}
    for name in ("trainval", "train", "val", "test"):  # the finer word is the last
        stems = lists.lines(f"{name}.txt") if lists else ()
        listed.update(dict.fromkeys(stems, split_named(name) or ""))
    annotated = frozenset(map(stem_of, filter(is_image, masks.files.values())))
    without = {stem for stem, split in listed.items() if split == "test"} - annotated  # not public
    only = frozenset(listed) - without if listed else annotated
    part = Part(images.path, masks.path, rule=Rule(), only=only, splits=listed)
    palette = _palette(masks)
    name = f"{images.path.name} + {masks.path.name}"
    for file in _CLASS_FILES:
        if lines := root.lines(file):
            classes, void = _listed_classes(root.path / root.files[file], lines, palette)
            return Layout(f"{name} + {root.files[file]}", [part], classes, void)
    if not listed or not all(map(_VOC_PHOTO.fullmatch, listed)):
        return Layout(name, [part])
    if not palette:  # some tools rewrite the masks as plain indices
        return Layout("Pascal VOC", [part])
    classes = dict(zip(_VOC_CLASSES, palette, strict=False))
    return Layout("Pascal VOC", [part], classes, (palette[255],))


def _palette(masks: Folder) -> Palette:
    """The palette of the first mask; none if it holds plain indices or colours."""
    name = next(filter(is_image, masks.files.values()), None)
    try:
        with open_lazily(masks.path / str(name)) as file:
            entries = file.getpalette("RGB") if file.mode == "P" else None
    except OSError:  # an array, or a broken file, of which the reader of the masks will speak
        return ()
    if entries is None:
        return ()
    entries += [0] * (3 * 256 - len(entries))
    return [f"#{bytes(entries[at : at + 3]).hex()}" for at in range(0, 3 * 256, 3)]


def _listed_classes(
    file: Path, lines: Sequence[str], palette: Palette
) -> tuple[dict[str, int | str] | None, tuple[int | str, ...]]:
    """Classes and void by a file beside the masks: CVAT's with colours, or names by index."""
    rows = [_CVAT_ROW.fullmatch(line) for line in lines if not line.startswith("#")]
    read = [row.groups() for row in rows if row]
    if rows and len(read) == len(rows):
        levels = {name.strip(): [min(int(level), 255) for level in rgb] for name, *rgb in read}
        return {name: f"#{bytes(rgb).hex()}" for name, rgb in levels.items()}, ()
    names = [line for line in lines if line != "__ignore__"]
    names = [name.strip("_") if name == "_background_" else name for name in names]
    if not names or names[0].lower() not in _BACKGROUND or len({*names}) < len(names):
        warn(
            f"{file} is not read: its first line should name the background, and each line another "
            "class, in the order of the mask's values. If it lists the classes, say them: "
            "classes=..."
        )
        return None, ()
    if palette:
        return dict(zip(names, palette, strict=False)), (palette[255],)
    return {name: index for index, name in enumerate(names)}, (255,)


_DRAWN_BY_HAND = {"1st_manual": "DRIVE", "manual1": "HRF"}  # folders of the vessels


def retina(root: Folder) -> Layout | None:
    """images/ + 1st_manual/ (or manual1/), the vessels; a folder mask/ is the field of view."""
    parts: list[Part] = []
    without = []
    for folder, split in [(root, None), *root.split_folders]:
        both = two_folders(folder, masks=tuple(_DRAWN_BY_HAND))
        if both:
            parts.append(Part(both[0].path, both[1].path, split or ""))
        elif folder.find("mask") and folder.find(*IMAGES):
            without.append(folder.path)
    if not parts:
        return None
    manual = parts[0].masks.name
    if without:
        warn(
            f"{listing(without)} has no {manual}, the vessels that were drawn by hand, and is left "
            "out; what it calls mask is the field of view."
        )
    name = f"{_DRAWN_BY_HAND[manual.lower()]}: {parts[0].images.name} + {manual}"
    view = parts[0].masks.parent / "mask"
    return Layout(f"{name}; mask is the field of view" if view.is_dir() else name, parts)


def chase(root: Folder) -> Layout | None:
    """Image_01L.jpg + Image_01L_1stHO.png in one folder; _2ndHO is a second observer's."""
    stems = [stem_of(name) for name in root.files.values() if is_image(name)]
    if not any(stem.endswith("_1stHO") for stem in stems):
        return None
    only = frozenset(stem for stem in stems if not stem.endswith("_2ndHO"))
    part = Part(root.path, root.path, beside=("", "_1stHO"), only=only)
    return Layout("CHASE_DB1: x + x_1stHO in one folder", [part])


_CITYSCAPES = {
    **{"road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17},
    **{"traffic light": 19, "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23},
    **{"person": 24, "rider": 25, "car": 26, "truck": 27, "bus": 28, "train": 31},
    **{"motorcycle": 32, "bicycle": 33},
}


def cityscapes(root: Folder) -> Layout | None:
    """leftImg8bit/{train,val,test}/city + gtFine/...: the 19 classes of the benchmark."""
    images, masks = root.find("leftImg8bit"), root.find("gtFine", "gtCoarse")
    if not images or not masks:
        return None
    splits = {name: split for name, split in images.splits.items() if name in masks.folders}
    if not splits:
        return None
    train_ids = all(_any_ends_with(masks.folders[name], "_labelTrainIds.png") for name in splits)
    kind = "labelTrainIds" if train_ids else "labelIds"
    rule = Rule(("", "_leftImg8bit"), ("", f"_{masks.path.name}_{kind}"))
    parts = [
        Part(images.folders[name].path, masks.folders[name].path, split, rule)
        for name, split in splits.items()
    ]
    if train_ids:
        classes = {name: index for index, name in enumerate(_CITYSCAPES)}
        return Layout("Cityscapes", parts, classes, (255,))
    void = tuple(index for index in range(34) if index not in _CITYSCAPES.values())
    return Layout("Cityscapes", parts, dict(_CITYSCAPES), void)


def _any_ends_with(folder: Folder, tail: str) -> bool:
    return any(name.endswith(tail) for _, _, names in os.walk(folder.path) for name in names)


def fastai_camvid(root: Folder) -> Layout | None:
    """images/ + labels/ + codes.txt with the names of the classes; valid.txt lists a part."""
    names = root.lines("codes.txt")
    both = two_folders(root)
    if not names or not both or both[0].splits:
        return None
    listed = root.lines("valid.txt")
    splits: dict[str, Split] = {Path(line).stem: "valid" for line in listed}
    part = Part(both[0].path, both[1].path, "train" if listed else "", splits=splits)
    layout = f"{part.images.name} + {part.masks.name} + codes.txt"
    void = tuple(name for name in names if name.lower() == "void")
    return Layout(layout, [part], {name: index for index, name in enumerate(names)}, void)


def nnunet(root: Folder) -> Layout | None:
    """imagesTr/ + labelsTr/ (and Ts), one file per channel, dataset.json with the labels."""
    parts = []
    tails: dict[str, Split] = {"tr": "train", "ts": "test"}
    for tail, split in tails.items():
        images, masks = root.find(f"images{tail}"), root.find(f"labels{tail}")
        if not images or not masks:
            continue
        if not images.has_images and any(name.endswith(".gz") for name in images.files):
            raise PairingError(
                f"{images.path} holds volumes ({listing(list(images.files.values()), 2)}); "
                "pictures were expected. Write the slices as PNG or TIFF files first."
            )
        channels = any(re.search(r"_0000\.\w+$", name) for name in images.files)
        rule = Rule(("", "_0000")) if channels else None
        parts.append(Part(images.path, masks.path, split, rule, channels=channels))
    if not parts:
        return None
    classes, void = _nnunet_labels(root)
    return Layout("nnU-Net", parts, classes, void)


def _nnunet_labels(root: Folder) -> tuple[dict[str, int] | None, tuple[int, ...]]:
    """{"0": "background"} of the first version, {"background": 0, "ignore": 3} of the second."""
    if "dataset.json" not in root.files:
        return None, ()
    file = root.path / root.files["dataset.json"]
    try:
        labels = json.loads(file.read_text("utf-8"))["labels"]
        if all(re.fullmatch(r"\d+", key) for key in labels):
            labels = {name: value for value, name in labels.items()}
        if any(isinstance(value, list) for value in labels.values()):
            return None, ()  # overlapping regions: the masks' own values are the classes
        classes = {str(name): int(value) for name, value in labels.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PairingError(
            f"{file}: its labels cannot be read ({type(error).__name__}: {error}). Expected "
            '{"labels": {"background": 0, "name": 1}}. Mend the file or take it out.'
        ) from error
    void = tuple(value for name, value in classes.items() if name.lower() == "ignore")
    return {name: value for name, value in classes.items() if value not in void}, void


def ade20k(root: Folder) -> Layout | None:
    """images/ + annotations/ with training/ and validation/, whose files are ADE_train_00000001."""
    images, masks = root.find("images"), root.find("annotations")
    if not images or not masks or not {"training", "validation"} <= images.splits.keys():
        return None
    first = next(iter(images.folders["training"].files), "")
    known = first.startswith("ade_") or "objectinfo150.txt" in root.files
    found = images_and_masks(root) if known else None
    if not found:
        return None
    rows = [line.split("\t") for line in root.lines("objectInfo150.txt")[1:]]
    classes = {row[-1].strip(): int(row[0]) for row in rows if row[0].isdigit()}
    return Layout("ADE20K", found.parts, classes or None, (0,))


def oxford_pets(root: Folder) -> Layout | None:
    """images/ + annotations/trimaps/: 1 is the pet, 2 the background, 3 the border (void)."""
    images, notes = root.find(*IMAGES), root.find("annotations")
    trimaps = notes and notes.find("trimaps")
    if not images or not notes or not trimaps or not trimaps.has_images:
        return None
    splits: dict[str, Split] = {line.split()[0]: "test" for line in notes.lines("test.txt")}
    part = Part(images.path, trimaps.path, splits=splits)
    name = f"{images.path.name} + annotations/trimaps"
    if "list.txt" not in notes.files:  # some other trimaps: what the values mean is not known
        return Layout(name, [part])
    return Layout(name, [part], {"background": 2, "pet": 1}, (3,))
