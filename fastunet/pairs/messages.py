"""The messages where images and masks do not pair: why, and what to do."""

import re
from pathlib import Path

from fastunet._util.text import listing, plural
from fastunet._util.warn import warn
from fastunet.io.extensions import EXTENSIONS, is_junk
from fastunet.pairs.file_names import nfc, stem_of
from fastunet.pairs.formats.layout import Layout, Part
from fastunet.pairs.formats.named_folders import MASK_AFFIX
from fastunet.pairs.matching import Matches, nearest


def duplicates_of(part: Part, found: Matches) -> list[str]:
    """The files that share one partner, a line for each of these."""
    groups = [(part.images, files) for files in found.duplicate_images]
    groups += [(part.masks, files) for files in found.duplicate_masks]
    return [listing([Path(folder, *file) for file in files]) for folder, files in groups]


def warn_of_unpaired(what: str, unpaired: list[Path], others: list[Path], root: Path) -> None:
    """Name files without a partner, each with the file that is named most like it."""
    if not unpaired:
        return
    names = [_with_nearest(file, others, root) for file in unpaired[:10]]
    warn(f"{what} are left out ({len(unpaired)}): {listing([*names, *unpaired[10:]])}")


def _with_nearest(file: Path, others: list[Path], root: Path) -> str:
    name = str(file.relative_to(root) if file.is_relative_to(root) else file)
    like = nearest(file.stem, [other.stem for other in others[:1000]])
    if like is None:
        return name
    return f"{name} (nearest: {next(o.name for o in others if o.stem == like)})"


def unknown_layout(root: Path) -> str:
    """That the layout of a folder is not recognised, and which layouts are."""
    entries = sorted(
        e.name + "/" if e.is_dir() else e.name for e in root.iterdir() if not is_junk(e.name)
    )
    return (
        f"{root} holds no layout that fastunet knows. Found: {listing(entries) or 'nothing'}. "
        "Expected one of: images/ + masks/; train|val|test/ each with images/ + masks/; train/ + "
        "train_masks/; x.jpg + x_mask.png in one folder; x/images/x.png + x/masks/*.png, a mask "
        "for each object; the folder of a public data set; images with COCO, LabelMe or YOLO "
        "polygons. Or name the folders: images=..., masks=..."
    )


def nothing_pairs(layout: Layout, unpaired_images: list[Path], unpaired_masks: list[Path]) -> str:
    """Why no mask belongs to an image, as far as names and folders tell."""
    image_dirs = listing([part.images for part in layout.parts])
    mask_dirs = listing([part.masks for part in layout.parts])
    where = f"{image_dirs} and {mask_dirs}"
    if not unpaired_images or not unpaired_masks:
        empty = "images" if not unpaired_images else "masks"
        known = ", ".join(sorted(EXTENSIONS))
        return f"No pairs in {where}: there are no {empty} (looked for {known})."
    if said := _sub_folders_differ(layout, unpaired_images, unpaired_masks):
        return f"No mask lies where its image does, in {where}: {said}"
    first = unpaired_images[0]
    like = nearest(first.stem, [mask.stem for mask in unpaired_masks[:1000]])
    hint = f" The mask most like {first.name} is named {like!r}." if like else ""
    return (
        f"No mask matches an image by name in {where}. Images are named like "
        f"{listing([file.name for file in unpaired_images], 3)}; masks like "
        f"{listing([file.name for file in unpaired_masks], 3)}.{hint} If a mask is the image's "
        "name with something before or behind it, pass prefix= or suffix=."
    )


def _sub_folders_differ(
    layout: Layout, unpaired_images: list[Path], unpaired_masks: list[Path]
) -> str | None:
    """What to do where names fit, and only the folders that they lie in do not."""
    images = _by_sub_folder([part.images for part in layout.parts], unpaired_images)
    masks = _by_sub_folder([part.masks for part in layout.parts], unpaired_masks)
    stems = {stem_of(file.name) for files in images.values() for file in files}
    if any(Path(inner).name in stems for inner in masks if inner):
        inner = next(inner for inner in masks if Path(inner).name in stems)
        return (
            f"the masks of an image lie in a folder of its name ({inner}/, with "
            f"{listing([file.name for file in masks[inner]], 2)}). Is it a mask for each object? "
            "One mask per image is read, images/x.png with masks/x.png; merge them, or lay them "
            "out as x/images/x.png with x/masks/*.png, which is read too."
        )
    fitting = {
        inner: files
        for inner, files in masks.items()
        if any(stem_of(file.name) in stems for file in files)
    }
    if not fitting or images.keys() & fitting.keys():
        return None
    said = (
        f"the names fit, but the sub-folders differ. Images lie in {_folders(images)}, masks in "
        f"{_folders(fitting)}; they must mirror each other. "
    )
    several = [{stem_of(file.name) for file in files} for files in fitting.values()]
    if len(several) > 1 and set.intersection(*several):
        return said + (
            "Is it a folder of masks for each class? One mask per image is read, in which each "
            "class has a value of its own: merge them (0 for the background, 1 for the first "
            f"class, 2 for the second). To train on one of the classes, name its folder: "
            f'masks="{fitting[min(fitting)][0].parent}".'
        )
    return said + "Move the files, or name the two folders: images=..., masks=..."


def _by_sub_folder(roots: list[Path], files: list[Path]) -> dict[str, list[Path]]:
    """Files by the sub-folder of their root that they lie in, "" for the root itself."""
    found: dict[str, list[Path]] = {}
    for file in files:
        root = next(root for root in roots if file.is_relative_to(root))
        inner = nfc(file.parent.relative_to(root).as_posix())
        found.setdefault("" if inner == "." else inner, []).append(file)
    return found


def _folders(by_folder: dict[str, list[Path]]) -> str:
    names = [f"{inner}/" if inner else "the folder itself" for inner in sorted(by_folder)]
    return listing(names, 4)


_NUMBERED = re.compile(r"^(.*)[-_ ]\d+$")


def further_masks(masks: list[Path], unpaired: list[Path]) -> str | None:
    """What to do where images have further masks, x_mask_1.png beside x_mask.png."""
    marked = {(mask.parent, mask.stem): mask for mask in masks if MASK_AFFIX.search(mask.stem)}
    further = [
        (marked[key], file)
        for file in unpaired
        if (key := (file.parent, _unnumbered(file.stem))) in marked
    ]
    if not further:
        return None
    first = listing([f"{other.name} beside {mask.name}" for mask, other in further], 3)
    images = plural(len({mask for mask, _ in further}), "image has", "images have")
    return (
        f"{images} more than one mask ({first}). One mask per image is read. Merge them: of "
        "objects of one class, take at each pixel the larger value. Or move the further ones out "
        "of the folder, if they mean something else."
    )


def _unnumbered(stem: str) -> str:
    found = _NUMBERED.match(stem)
    return found[1] if found else ""
