"""Whether other files could be the masks just as well: then the user is asked.

A folder of retina photos has the vessels that a doctor drew and the field of view of the camera,
both in black and white, both of the images' names.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastunet.errors import AmbiguousPairingError, FastunetError
from fastunet.io.extensions import JPEG
from fastunet.io.images import read_image
from fastunet.pairs.affixes import infer_rule
from fastunet.pairs.file_names import split_named, stem_of
from fastunet.pairs.formats.layout import Folder, Part
from fastunet.pairs.formats.named_folders import MASK_WORD
from fastunet.pairs.matching import (
    Affix,
    Listing,
    Matches,
    Rule,
    list_files,
    pair_up,
    without_affix,
)

Channels = dict[Path, tuple[Path, ...]]  # of an image's first file, the files of its other channels

_AS_FULLY = 0.9  # of the images that have a mask have one of the other kind too
_SAMPLE = 3  # images of which both kinds are compared
_FEW_VALUES = 64  # of a file that may be a mask, whatever its folder is called
_LOSSY = (*JPEG, ".webp")

_WORD = re.compile(r"[a-z]+")
_MASK_WORDS = frozenset(MASK_WORD.split("|")) | {
    *("manual", "manuals", "vessel", "vessels", "instance", "instances", "object", "objects"),
    *("class", "classes", "annotations", "labels", "segmentations", "targets", "trimaps", "truth"),
}
_DERIVED = {  # words for what is made of images and masks, to be looked at
    *("overlay", "overlays", "overlaid", "blend", "blended", "vis", "viz", "visual", "visuals"),
    *("visualisation", "visualisations", "visualization", "visualizations", "preview", "previews"),
    *("thumb", "thumbs", "thumbnail", "thumbnails", "heatmap", "heatmaps", "prob", "probs"),
    *("probability", "probabilities", "pred", "preds", "prediction", "predictions", "predicted"),
    *("result", "results", "output", "outputs", "depth", "backup", "old"),
}


@dataclass(frozen=True)
class Matched:
    """A part of a layout, its files, and how they pair."""

    part: Part
    images: Listing
    masks: Listing
    rule: Rule
    found: Matches
    channels: Channels

    @property
    def files(self) -> dict[Path, Path]:
        """The mask of each image that has one."""
        return _files(self.part.images, self.part.masks, self.found)


def refuse_several(parts: Sequence[Matched], stated: Rule | None) -> None:
    """Raise `AmbiguousPairingError`, with the answers to type, where there is a second choice."""
    taken = {folder for one in parts for folder in (one.part.images, one.part.masks)}
    for one in parts:
        chosen = one.files
        enough = max(1, _AS_FULLY * len(chosen))
        others = {} if one.part.beside else _other_folders(one, taken, stated)
        own = f'masks="{_step(one.part)[1]}"'
        if not stated:
            others_here = _other_affixes(one)
            if others_here and not others:
                own = _typed(one.part.beside or one.rule.mask)
            others |= others_here
        rivals = [
            typed
            for typed, (name, files) in others.items()
            if len(files) >= enough and _is_second_choice(name, files, chosen)
        ]
        if rivals:
            raise AmbiguousPairingError(
                f"The images in {one.part.images} have more than one kind of mask, and which of "
                f"them is to be learned cannot be known. Say it: {', or '.join([own, *rivals])}."
            )


# --- where other masks may be --------------------------------------------------------------------


def _files(images: Path, masks: Path, found: Matches) -> dict[Path, Path]:
    return {Path(images, *match.image): Path(masks, *match.mask) for match in found.pairs}


def _step(part: Part) -> tuple[Path, str, Path]:
    """The folder that images and masks have in common, that of the masks in it, and the rest."""
    above = part.masks.parents
    common = next(f for f in (part.images, *part.images.parents) if f in above)
    step, *rest = part.masks.relative_to(common).parts
    return common, step, Path(*rest)


def _other_folders(
    one: Matched, taken: Iterable[Path], stated: Rule | None
) -> dict[str, tuple[str, dict[Path, Path]]]:
    """Folders beside that of the masks: what to type for each, its name, its mask of each image."""
    common, step, rest = _step(one.part)
    others = {}
    for folder in Folder(common).folders.values():
        name = folder.path.name
        is_taken = any(used.is_relative_to(folder.path) for used in taken)
        if name == step or is_taken or split_named(name) is not None:
            continue
        inner = folder.find(rest.as_posix()) if rest.parts else folder
        if not inner or not inner.has_images:
            continue
        masks = list_files(inner.path)
        found = pair_up(one.images, masks, stated or infer_rule(one.images, masks))
        others[f'masks="{name}"'] = name, _files(one.part.images, inner.path, found)
    return others


def _other_affixes(one: Matched) -> dict[str, tuple[str, dict[Path, Path]]]:
    """Files with another affix among the masks, or where images and masks lie in one folder."""
    folder = one.part.images if one.part.beside else one.part.masks
    unpaired = one.found.unpaired_images if one.part.beside else one.found.unpaired_masks
    image_of: dict[tuple[str, str], Path] = {}
    for match in one.found.pairs:
        core = without_affix(stem_of(match.image[1]), one.rule.image)
        image_of[match.mask[0], core or ""] = Path(one.part.images, *match.image)
    groups: dict[Affix, dict[Path, Path]] = defaultdict(dict)
    for inner, name in unpaired:
        for core, affix in _cores(stem_of(name)):
            if (inner, core) in image_of:
                groups[affix][image_of[inner, core]] = Path(folder, inner, name)
    return {
        _typed(affix): (" ".join(affix), files) for affix, files in groups.items() if any(affix)
    }


def _cores(stem: str) -> Iterator[tuple[str, Affix]]:
    """The cores that a stem may have, each with its affix, cut where a word ends or begins."""
    yield stem, ("", "")
    for at in range(1, len(stem)):
        if not stem[at].isalnum():
            yield stem[:at], ("", stem[at:])
            yield stem[at + 1 :], (stem[: at + 1], "")


def _typed(affix: Affix) -> str:
    before, behind = affix
    said = [f'prefix="{before}"'] if before else []
    return " ".join(said + ([f'suffix="{behind}"'] if behind or not before else []))


# --- whether they are masks, and other ones ------------------------------------------------------


def _is_second_choice(name: str, files: dict[Path, Path], chosen: dict[Path, Path]) -> bool:
    """Whether these files look like masks, and mark something else than those chosen."""
    words = set(_WORD.findall(name.lower()))
    if words & _DERIVED:
        return False
    named = bool(words & _MASK_WORDS)
    both = [image for image in files if image in chosen] or list(files)
    sample = both[:: max(1, len(both) // _SAMPLE)][:_SAMPLE]
    if not all(_may_be_mask(files[image], image, named) for image in sample):
        return False
    return not all(i in chosen and _say_the_same(files[i], chosen[i]) for i in sample)


def _may_be_mask(file: Path, image: Path, named: bool) -> bool:
    if named and file.suffix.lower() in _LOSSY:
        return True
    values = _values(file)
    if values is None:
        return named
    if named and len(np.unique(values)) <= 0.1 * values.size:  # instance numbers are many
        return True
    if len(np.unique(values)) > _FEW_VALUES:
        return False
    picture = _values(image)  # of black and white pages few values say nothing
    return picture is None or len(np.unique(picture)) > _FEW_VALUES


def _say_the_same(one: Path, other: Path) -> bool:
    """Whether two masks tell the same areas apart, by whatever values."""
    a, b = _values(one), _values(other)
    if a is None or b is None or a.shape != b.shape:
        return False
    both = len(np.unique(np.stack([a.ravel(), b.ravel()]), axis=1).T)
    return both == len(np.unique(a)) == len(np.unique(b))


def _values(file: Path) -> np.ndarray | None:
    """(H, W) one number for each value or colour; None where the file cannot be read."""
    try:
        pixels = read_image(file)
    except FastunetError:
        return None
    if pixels.shape[2] == 1:
        return pixels[..., 0]
    return pixels.astype(np.float64) @ np.cumprod(np.full(pixels.shape[2], 257.0))
