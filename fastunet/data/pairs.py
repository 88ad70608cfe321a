"""Which mask belongs to which image, found from the folder layout and the file names."""

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fastunet.errors import PairingError, listing

Split = Literal["", "train", "valid", "test"]

EXTENSIONS = {
    *(".png", ".jpg", ".jpeg", ".jfif", ".jp2", ".tif", ".tiff", ".bmp", ".gif", ".webp"),
    *(".pgm", ".ppm", ".pbm", ".pnm", ".npy"),
}

_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """An image file and its mask file."""

    image: Path
    mask: Path
    split: Split = ""  # the part it belongs to; "" where nothing has decided that yet
    group: str = ""  # what must stay in one part: views of a car, frames of a video
    channels: tuple[Path, ...] = ()  # files whose channels are stacked behind the image's

    @property
    def image_files(self) -> tuple[Path, ...]:
        """The file or files that make the image."""
        return (self.image, *self.channels)


@dataclass(frozen=True)
class PairList(Sequence[Pair]):
    """The pairs of a data set, in the order of their names, with what was left over."""

    pairs: list[Pair]
    layout: str  # how the folder was read, for example "images + masks"
    unpaired_images: list[Path] = field(default_factory=list)
    unpaired_masks: list[Path] = field(default_factory=list)
    classes: Sequence[str] | Mapping[str, int | str] | None = None  # where the layout states them
    void: tuple[int | str, ...] = ()  # mask values or colours that the layout leaves out

    def __getitem__(self, index):
        return self.pairs[index]

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def splits(self) -> dict[str, int]:
        """How many pairs each split holds."""
        return dict(Counter(pair.split for pair in self.pairs))


def find_pairs(
    path: str | os.PathLike,  # the data folder
    images: str | os.PathLike | None = None,  # folder of images, absolute or below `path`
    masks: str | os.PathLike | None = None,  # folder of masks; goes with `images`
    prefix: str | None = None,  # what a mask's stem has before the image's; None: find it out
    suffix: str | None = None,  # what a mask's stem has behind the image's; None: find it out
) -> PairList:
    """Pair the images of a folder with their masks.

    Layouts: `images/` + `masks/`; `train|val|test/{images,masks}`; `train/` + `train_masks/`
    (Carvana); `train/` + `trainannot/` (SegNet); or the two folders given as `images=` and
    `masks=`. Sub-folders are mirrored. A mask's stem is the image's, with one prefix and suffix
    the same for the whole folder; extensions may differ.

    Raises `PairingError` when a folder is missing, nothing pairs, or two files claim one place.
    Warns, by name, of files left without a partner.
    """
    root = Path(path)
    if not root.is_dir():
        kind = "a file" if root.exists() else "missing"
        raise PairingError(f"{root} is {kind}; a folder with images and masks was expected.")
    if (images is None) != (masks is None):
        raise PairingError("Pass both images= and masks=, or neither.")

    if images is not None:
        folders = [(root / images, root / masks, "")]
        for folder in folders[0][:2]:
            if not folder.is_dir():
                raise PairingError(f"The folder {folder} does not exist.")
        layout = f"{images} + {masks}"
    else:
        layout, folders = _recognise(root)

    pairs, lone_images, lone_masks = [], [], []
    for image_dir, mask_dir, split in folders:
        found = _pair_folders(image_dir, mask_dir, split, prefix, suffix)
        pairs += found[0]
        lone_images += found[1]
        lone_masks += found[2]

    if not pairs:
        raise PairingError(_nothing_pairs(folders, lone_images, lone_masks))
    for what, lone in (
        ("Images without a mask", lone_images),
        ("Masks without an image", lone_masks),
    ):
        if lone:
            names = listing(
                [file.relative_to(root) if file.is_relative_to(root) else file for file in lone]
            )
            warnings.warn(f"{what} are left out ({len(lone)}): {names}", stacklevel=2)
    return PairList(pairs, layout, lone_images, lone_masks)


def _recognise(root: Path) -> tuple[str, list[tuple[Path, Path, Split]]]:
    """The layout's name and its (image folder, mask folder, split) triples."""
    folders = {entry.name.lower(): entry for entry in sorted(root.iterdir()) if entry.is_dir()}
    both = _images_and_masks(root)
    if both:
        return f"{both[0].name} + {both[1].name}", [(*both, "")]

    splits = [(name, folder) for name, folder in folders.items() if name in _SPLITS]
    nested = [(*_images_and_masks(folder), _SPLITS[name])
              for name, folder in splits if _images_and_masks(folder)]  # fmt: skip
    if nested:
        return "train|val|test / images + masks", nested

    for tail, layout in (("_masks", "train + train_masks"), ("annot", "train + trainannot")):
        beside = [(folder, folders[name + tail], _SPLITS[name])
                  for name, folder in splits if name + tail in folders]  # fmt: skip
        if beside:
            return layout, beside

    raise PairingError(
        f"{root} holds no layout that fastunet knows. Found: {_contents(root)}. Expected one of: "
        "images/ + masks/; train|val|test/ each with images/ + masks/; train/ + train_masks/; "
        "train/ + trainannot/. Or name the folders: images=..., masks=..."
    )


def _images_and_masks(folder: Path) -> tuple[Path, Path] | None:
    inside = {entry.name.lower(): entry for entry in folder.iterdir() if entry.is_dir()}
    return (inside["images"], inside["masks"]) if {"images", "masks"} <= inside.keys() else None


def _contents(root: Path) -> str:
    names = sorted(e.name + "/" if e.is_dir() else e.name for e in root.iterdir())
    return listing(names) or "nothing"


def _files(folder: Path) -> Iterator[Path]:
    """The image files below a folder, in the order of their names; hidden ones are passed over."""
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(parent, name)


def _by_key(folder: Path, what: str) -> dict[tuple[str, str], Path]:
    """Files by (sub-folder, stem); two files of one key are an error."""
    found = defaultdict(list)
    for file in _files(folder):
        found[str(file.parent.relative_to(folder)), file.stem].append(file)
    for files in found.values():
        if len(files) > 1:
            raise PairingError(
                f"Two {what}s have one name: {listing(files)}. Keep one of them in the folder."
            )
    return {key: files[0] for key, files in found.items()}


def _pair_folders(
    image_dir: Path, mask_dir: Path, split: Split, prefix: str | None, suffix: str | None
) -> tuple[list[Pair], list[Path], list[Path]]:
    images, masks = _by_key(image_dir, "image"), _by_key(mask_dir, "mask")
    if prefix is None and suffix is None:
        prefix, suffix = _affixes([stem for _, stem in images], [stem for _, stem in masks])
    prefix, suffix = prefix or "", suffix or ""
    pairs, lone_images = [], []
    for (folder, stem), image in images.items():
        mask = masks.pop((folder, prefix + stem + suffix), None)
        if mask:
            pairs.append(Pair(image, mask, split))
        else:
            lone_images.append(image)
    return pairs, lone_images, list(masks.values())


def _affixes(image_stems: Iterable[str], mask_stems: Iterable[str]) -> tuple[str, str]:
    """The (prefix, suffix) that turns most image stems into mask stems; none of either if a tie.

    `("", "_mask")` for car_01 -> car_01_mask. A spread sample of images is enough to tell.
    """
    image_stems, mask_stems = list(image_stems), list(mask_stems)
    votes = Counter({("", ""): 0.5})
    for stem in image_stems[:: max(1, len(image_stems) // 20)]:
        hits = {mask.partition(stem)[::2] for mask in mask_stems if stem and stem in mask}
        votes.update(hits)
    most = max(votes.values())
    return min((pair for pair in votes if votes[pair] == most), key=lambda pair: len("".join(pair)))


def _nothing_pairs(folders, lone_images: list[Path], lone_masks: list[Path]) -> str:
    image_dirs, mask_dirs, _ = zip(*folders, strict=True)
    where = f"{listing(image_dirs)} and {listing(mask_dirs)}"
    if not lone_images or not lone_masks:
        empty = "images" if not lone_images else "masks"
        known = ", ".join(sorted(EXTENSIONS))
        return f"No pairs in {where}: there are no {empty} (looked for {known})."
    return (
        f"No mask matches an image by name in {where}. Images are named like "
        f"{listing([file.name for file in lone_images], 3)}; masks like "
        f"{listing([file.name for file in lone_masks], 3)}. If a mask is the image's name with "
        "something before or behind it, pass prefix= or suffix=."
    )
