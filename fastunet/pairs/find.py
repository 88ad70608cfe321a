"""Which mask belongs to which image, found from the folder layout and the file names."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastunet._util.text import listing
from fastunet.errors import OptionError, PairingError
from fastunet.io.channel_files import channel_sets
from fastunet.io.extensions import is_image
from fastunet.pairs.affixes import infer_rule
from fastunet.pairs.file_names import as_on_disk, nfc, stem_of
from fastunet.pairs.formats.layout import Folder, Layout, Part
from fastunet.pairs.formats.named_folders import one_folder, with_masks
from fastunet.pairs.formats.registry import recognise
from fastunet.pairs.matching import Listing, Rule, list_files, pair_up, separate, sub_paths
from fastunet.pairs.messages import (
    duplicates_of,
    further_masks,
    nothing_pairs,
    unknown_layout,
    warn_of_unpaired,
)
from fastunet.pairs.pair import Pair, PairList
from fastunet.pairs.table import pairs_from_table
from fastunet.pairs.which_masks import Channels, Matched, refuse_several

if TYPE_CHECKING:
    import pandas as pd


def find_pairs(
    path: "str | os.PathLike | pd.DataFrame",  # the data folder, a .csv or .tsv table, a DataFrame
    images: str | os.PathLike | None = None,  # folder below `path`, or column of a table
    masks: str | os.PathLike | None = None,  # the same of masks; may be given without `images`
    prefix: str | None = None,  # what a mask's stem has before the image's; None: find it out
    suffix: str | None = None,  # what a mask's stem has behind the image's; None: find it out
    missing_ok: bool = False,  # a table may list files that are missing, as `skip_bad` takes them
) -> PairList:
    """Pair the images of a folder with their masks.

    Layouts: folders called images and masks, or anything like it, with train, val and test inside
    or around them; `train/` + `train_masks/`; `x.jpg` + `x_mask.png` in one folder;
    `x/images/x.png` + `x/masks/*.png`, a mask for each object; those of public data sets (Pascal
    VOC, Cityscapes, ADE20K, CamVid, Oxford-IIIT Pet, nnU-Net); COCO, LabelMe and YOLO polygons; a
    table; or the two folders given as `images=` and `masks=`. Objects and polygons are drawn into
    the user's cache folder. Sub-folders are mirrored. A mask's stem is the image's, with one affix
    on either side the same for the whole folder; extensions may differ.

    Raises `PairingError` when a folder is missing, nothing pairs, or two files claim one place, and
    `AmbiguousPairingError` where the images have masks of more than one kind, `OptionError` where
    a name is not one. Warns, by name, of files left without a partner.
    """
    words = {"images": images, "masks": masks, "prefix": prefix, "suffix": suffix}
    for option, value in words.items():
        if value is not None and not isinstance(value, str | os.PathLike):
            raise OptionError(f"{option}={value!r}; a name was expected.")
    if _is_table(path) and (prefix is not None or suffix is not None):
        raise PairingError("prefix= and suffix= are of folders; a table names the files itself.")
    if _is_table(path):
        columns = os.fspath(images or "image"), os.fspath(masks or "mask")
        return pairs_from_table(path, None, *columns, missing_ok=missing_ok)
    root = _one_path(path)
    if images is not None and masks is None:
        raise PairingError(
            "Pass masks= beside images=. What comes first is the folder that holds the two, or '.'."
        )
    if not root.is_dir():
        kind = "a file" if root.exists() else "missing"
        raise PairingError(
            f"{root} is {kind}; a folder with images and masks was expected, or a .csv or .tsv "
            "table."
        )

    stated = None
    if prefix is not None or suffix is not None:
        stated = Rule(mask=(nfc(prefix or ""), nfc(suffix or "")))
    layout = _named(root, images, masks, stated) if masks is not None else recognise(root)
    if layout is None and stated and any(map(is_image, Folder(root).files)):
        layout = _marked(root, stated)
    if layout is None:
        raise PairingError(unknown_layout(root))

    matched = [_match(part, stated) for part in layout.parts]
    pairs = [
        Pair(image, mask, one.part.split_of(image), channels=one.channels.get(image, ()))
        for one in matched
        for image, mask in one.files.items()
    ]
    unpaired_images = [
        Path(one.part.images, *file) for one in matched for file in one.found.unpaired_images
    ]
    unpaired_masks = [
        Path(one.part.masks, *file) for one in matched for file in one.found.unpaired_masks
    ]
    duplicates = [line for one in matched for line in duplicates_of(one.part, one.found)]
    if said := further_masks([pair.mask for pair in pairs], unpaired_images + unpaired_masks):
        raise PairingError(said)
    if duplicates:
        more = f"; and {len(duplicates) - 10} more places" if len(duplicates) > 10 else ""
        raise PairingError(
            f"More than one file claims one place: {'; '.join(duplicates[:10])}{more}. Keep one of "
            "each in the folder."
        )
    if not pairs:
        raise PairingError(nothing_pairs(layout, unpaired_images, unpaired_masks))
    if layout.guessed and masks is None:
        refuse_several(matched, stated)
    warn_of_unpaired("Images without a mask", unpaired_images, unpaired_masks, root)
    warn_of_unpaired("Masks without an image", unpaired_masks, unpaired_images, root)
    return PairList(
        pairs, layout.name, unpaired_images, unpaired_masks, layout.classes, layout.void
    )


def as_pairs(
    given: "Iterable[Pair | tuple[str | os.PathLike, str | os.PathLike]] | pd.DataFrame",
    missing_ok: bool = False,  # files need not exist, as in `find_pairs`
) -> Sequence[Pair]:
    """Pairs in any form a user holds them: those of `find_pairs`, (image, mask) paths, a DataFrame.

    Raises `PairingError` where they are something else, or a file of a tuple is missing.
    """
    if isinstance(given, PairList):
        return given
    if _is_table(given):
        return pairs_from_table(given, missing_ok=missing_ok)
    if isinstance(given, str | os.PathLike):
        raise PairingError(f"{given} is a path; pairs were expected. from_folder takes a folder.")
    if not isinstance(given, Iterable):
        raise PairingError(f"{given!r} holds no pairs of an image and a mask.")
    entries = list(given)
    pairs = [_as_pair(entry, number) for number, entry in enumerate(entries)]
    new = [pair for pair, entry in zip(pairs, entries, strict=True) if pair is not entry]
    missing = [file for pair in new for file in (pair.image, pair.mask) if not file.is_file()]
    if missing and not missing_ok:
        raise PairingError(
            f"{len(missing)} of the files do not exist: {listing(missing)}. Relative paths start "
            f"from {Path.cwd()}. skip_bad=True leaves such pairs out."
        )
    return pairs


def _as_pair(entry: object, number: int) -> Pair:
    if isinstance(entry, Pair):
        return entry
    if isinstance(entry, tuple | list) and len(entry) == 2:
        image, mask = entry
        if isinstance(image, str | os.PathLike) and isinstance(mask, str | os.PathLike):
            return Pair(as_on_disk(Path(image)), as_on_disk(Path(mask)))
    raise PairingError(
        f"Entry {number} of the pairs is {entry!r}; (image, mask) was expected, two paths. Of two "
        "lists, pass zip(images, masks); of two folders, from_folder(folder, images=..., "
        "masks=...)."
    )


# --- what is given -------------------------------------------------------------------------------


def _is_table(given: object) -> bool:
    if isinstance(given, str | os.PathLike):
        return Path(given).suffix.lower() in (".csv", ".tsv") and Path(given).is_file()
    return hasattr(given, "columns") and hasattr(given, "iloc")  # a DataFrame


def _one_path(path: object) -> Path:
    if isinstance(path, str | os.PathLike):
        return Path(path)
    if isinstance(path, list | tuple):
        raise PairingError(
            f"{len(path)} paths were given where one folder is expected: the one that holds the "
            "folders of images and masks, which images=... and masks=... name. Pairs of files go "
            "to ImageMaskDataLoaders.from_pairs."
        )
    raise PairingError(
        f"{path!r} is no path; a folder with images and masks, or a table, was expected."
    )


def _named(
    root: Path, images: str | os.PathLike | None, masks: str | os.PathLike, stated: Rule | None
) -> Layout:
    """The folders that the user names; the two may be one."""
    if images is None:
        return _named_masks(root, masks)
    of_images, of_masks = as_on_disk(root / images), as_on_disk(root / masks)
    for folder in (of_images, of_masks):
        if not folder.is_dir():
            raise PairingError(f"The folder {folder} does not exist.")
    if not of_images.samefile(of_masks):
        return Layout(f"{images} + {masks}", [Part(of_images, of_masks)])
    layout = _marked(of_images, stated) if stated else one_folder(Folder(of_images))
    if layout is None:
        raise PairingError(
            f"images= and masks= are one folder, {of_images}, in which no file is named like "
            "x_mask. Say how masks are named: prefix= or suffix=."
        )
    return layout


def _named_masks(root: Path, masks: str | os.PathLike) -> Layout:
    """The masks that the user names, with the images that are found beside them."""
    place = as_on_disk(root / masks)
    name = os.path.relpath(place, root) if place.is_dir() else os.fspath(masks)
    layout = None if name.startswith("..") else with_masks(root, Path(name).as_posix())
    if layout is not None:
        return layout
    if not place.is_dir():
        raise PairingError(
            f"There is no folder {masks} with masks in {root}, nor in the train, val and test "
            "folders in it."
        )
    raise PairingError(
        f"Which images belong to the masks in {place} is not known: no folder beside them has one "
        "of the usual names, such as images. Name it: images=..."
    )


def _marked(folder: Path, stated: Rule) -> Layout:
    """Images and masks in one folder; a mask has the affix that the user names."""
    before, behind = stated.mask
    name = f"x + {before}x{behind} in one folder"
    return Layout(name, [Part(folder, folder, beside=stated.mask)])


def _match(part: Part, stated: Rule | None) -> Matched:
    """Match the files of a part by their names."""
    images = list_files(part.images)
    if part.beside:
        images, masks = separate(images, stated.mask if stated else part.beside)
    else:
        masks = list_files(part.masks)
        images = _outside(images, part)
    if part.only is not None:
        images, masks = _only(images, part.only), _only(masks, part.only)
    channels: Channels = {}
    if part.channels:
        images, channels = _by_channel(part.images, images)
    if stated and part.rule:
        stated = Rule(part.rule.image, stated.mask)
    rule = stated or part.rule or infer_rule(images, masks)
    found = pair_up(images, masks, rule, unmarked=part.rule is None)
    return Matched(part, images, masks, rule, found, channels)


def _outside(images: Listing, part: Part) -> Listing:
    """The images without those in the folder of masks, where that lies among the images."""
    if not part.masks.is_relative_to(part.images):
        return images
    inside = part.masks.relative_to(part.images).as_posix()
    return {k: names for k, names in images.items() if not f"{k}/".startswith(f"{inside}/")}


def _only(files: Listing, stems: Collection[str]) -> Listing:
    return {k: [name for name in names if stem_of(name) in stems] for k, names in files.items()}


def _by_channel(folder: Path, images: Listing) -> tuple[Listing, Channels]:
    """The files of the first channel, and those of the others. All images have as many channels."""
    files = [Path(folder, *file) for file in sub_paths(images)]
    sets = [members for _, members in channel_sets(files) if members[0].stem.endswith("_0000")]
    usual = Counter(map(len, sets)).most_common(1)[0][0] if sets else 0
    if odd := [members[0].name for members in sets if len(members) != usual]:
        raise PairingError(
            f"In {folder} most images have {usual} channel files (x_0000, x_0001, ...), but not "
            f"{listing(odd)}. Add the missing files, or take the image out."
        )
    channels = {members[0]: members[1:] for members in sets}
    firsts = {
        inner: [name for name in names if Path(folder, inner, name) in channels]
        for inner, names in images.items()
    }
    return firsts, channels
