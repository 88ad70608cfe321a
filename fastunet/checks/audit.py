"""The audit of a data set: all that can be known of it, and be wrong with it, before training."""

import os
import shlex
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastunet._util.terminal import options
from fastunet._util.threads import in_threads
from fastunet.checks import check_alignment as placement_checks
from fastunet.checks import check_classes as class_checks
from fastunet.checks import check_detail as detail_check
from fastunet.checks import check_files as file_checks
from fastunet.checks import check_values as value_checks
from fastunet.checks.examine import Facts, examine, examine_headers
from fastunet.checks.finding import Finding, Material
from fastunet.checks.report import as_text
from fastunet.checks.understand import content, infer_codec
from fastunet.errors import AmbiguousPairingError, MaskValueError, PairingError
from fastunet.io.library_messages import gathered_messages
from fastunet.masks.classes import Classes, Void
from fastunet.masks.codes import parse_value
from fastunet.pairs.find import find_pairs
from fastunet.pairs.formats.rasterise import OutlineWarning
from fastunet.pairs.formats.registry import recognise
from fastunet.pairs.pair import Pair, PairList
from fastunet.preprocess import Orientation, Scaling

if TYPE_CHECKING:
    from fastunet.checks.resolution import Resolution

_SIZES = 20  # listed one by one
_SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Audit:
    """What a data set is and what is wrong with it: `print(audit)`; `audit.ok` is the verdict.

    Where the audit was quick, or nothing could be decoded, `task`, `encoding`, `channels` and
    `bit_depth` are None.
    """

    source: Path  # what was looked at: a folder, or a table
    root: Path  # file names of findings are relative to it
    layout: str
    pairs: int  # how many
    splits: dict[str, int]  # pairs per part, "train", "valid", "test"; empty where there is none
    findings: tuple[Finding, ...]  # errors first
    task: str | None = None  # "binary" or "multiclass"
    encoding: str | None = None  # "two values", "class indices", "colours", ...
    classes: tuple[str, ...] = ()  # names, without void
    void: tuple[str | int, ...] = ()  # values and colours that do not count
    channels: int | tuple[int, ...] | None = None  # of the images; several where they differ
    bit_depth: int | tuple[int, ...] | None = None  # 8, 16, 32; several where the images differ
    sizes: dict[str, int] = field(default_factory=dict)  # "480x360" (height x width) -> images
    class_frequencies: dict[str, dict[str, float]] = field(default_factory=dict)
    mean: tuple[float, ...] = ()  # per channel over all pixels, in the images' own numbers
    std: tuple[float, ...] = ()  # per channel, likewise
    resolution: "Resolution | None" = None  # what is left of the masks at the network's size
    quick: bool = False  # only names and headers were looked at
    options: str = ""  # what was said of the data, as it is typed in the next command
    material: Material | None = field(default=None, repr=False, compare=False)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings with which training fails, or is worthless."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def ok(self) -> bool:
        return not self.errors

    def __str__(self) -> str:
        return as_text(self)

    def to_dict(self) -> dict:
        """Plain JSON values."""
        lists = {"classes", "void", "channels", "bit_depth"}
        names = ("layout", "pairs", "splits", "task", "encoding", "classes", "void", "channels",
                 "bit_depth", "sizes", "class_frequencies")  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        for name in lists:
            values[name] = list(values[name]) if isinstance(values[name], tuple) else values[name]
        values["resolution"] = self.resolution.to_dict() if self.resolution else None
        return {**values, "findings": [finding.to_dict() for finding in self.findings]}

    def to_html(
        self,
        path: str | os.PathLike,  # one file, which shows pairs and the files of each finding
    ) -> Path:
        """Write the report as a page that needs nothing beside it."""
        from fastunet.checks.html import write_page

        return write_page(self, Path(path))


@gathered_messages()
def audit(
    path_or_pairs: str | os.PathLike | Sequence[Pair],  # the data folder, or what find_pairs found
    *,
    images: str | os.PathLike | None = None,  # as in `find_pairs`
    masks: str | os.PathLike | None = None,
    prefix: str | None = None,
    suffix: str | None = None,
    classes: Classes = None,  # names, or name -> value; taken strictly
    void: Void = None,  # value(s), colour(s) or names of classes that do not count
    instances: bool = False,  # the values number objects
    scaling: Scaling = "auto",  # as in `Preprocess.infer`, of mixed types and ranges
    orientation: Orientation | None = None,  # of photos whose size fits both ways; None: not said
    size: int | tuple[int, int] | None = None,  # the network's input, by which detail is judged;
    # None: as `fastunet train` takes it, 256, or 128 on a CPU
    patch: int | tuple[int, int] | None = None,  # instead: patches of this size,
    scale: float = 1.0,  # cut at this share of the images' own resolution
    quick: bool = False,  # names and headers only: pairing, empty files and cut ones, sizes
    progress: bool = True,  # a bar while files are read
) -> Audit:
    """Look at every file of a data set once; nothing is changed on disk.

    Raises `PairingError` where the folder is missing or has no layout that is known.

    >>> report = audit("data")
    >>> print(report)
    >>> assert report.ok
    """
    stated_by_user = {
        "images": images,
        "masks": masks,
        "prefix": prefix,
        "suffix": suffix,
        "classes": classes,
        "void": void,
        "instances": instances or None,
        "scaling": None if scaling == "auto" else scaling,
        "orientation": orientation,
        "size": _spelled(size),
        "patch": _spelled(patch),
        "scale": None if scale == 1 else f"{scale:g}",
    }
    typed = shlex.join(options(stated_by_user))
    if isinstance(path_or_pairs, str | os.PathLike):
        source = Path(path_or_pairs)
        found, said = _find(source, images, masks, prefix, suffix)
        root = source if source.is_dir() else source.parent
        if isinstance(found, Finding):
            return Audit(source, root, "nothing pairs", 0, {}, (found,), quick=quick, options=typed)
    else:
        found, said = path_or_pairs, []
        source = root = _common_folder(found)
    pairs = list(found)
    stated = found if isinstance(found, PairList) else PairList(pairs, "pairs")
    typed_void = void
    classes = classes if classes is not None else stated.classes
    void = void if void is not None else (stated.void or None)

    _check_colours(classes, void)
    look = partial(examine_headers if quick else examine, orientation=orientation)
    facts = list(in_threads(look, pairs, "Reading headers" if quick else "Auditing", progress))
    material = Material(root, pairs, facts, scaling=scaling, orientation=orientation)
    findings = [*_unpaired(material, stated), *said]
    if not quick:
        material, understood = _understand(material, classes, void, instances)
        findings += [
            found
            for found in understood
            if found.code != "unused-void" or typed_void is not None  # a layout's may be unused
        ]
    findings += _check(material, quick)
    resolution = None
    if material.codec:
        resolution = detail_check.measure(material, size, patch, scale, progress)
        findings += detail_check.check_resolution(material, resolution)
    findings.sort(key=lambda finding: _SEVERITIES.index(finding.severity))
    summary = _summary(material, source, stated.layout, tuple(findings), quick)
    return replace(summary, options=typed, resolution=resolution)


def _spelled(size: int | tuple[int, int] | None) -> str | None:
    """A size as it is typed: 256, or 192x256."""
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    return str(height) if height == width else f"{height}x{width}"


def _find(root: Path, images, masks, prefix, suffix) -> tuple[PairList | Finding, list[Finding]]:
    """The pairs, or a finding where there is a layout in which nothing pairs; and what was said."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")  # what is left over becomes a finding of its own
            found = find_pairs(root, images, masks, prefix, suffix)
    except AmbiguousPairingError as error:
        return Finding("error", "which-masks", str(error), "Say which, then inspect again."), []
    except PairingError as error:
        folders = [root / folder for folder in (images, masks) if folder is not None]
        known = all(map(Path.is_dir, folders)) if len(folders) == 2 else not folders
        if not root.is_dir() or not known or not (folders or recognise(root)):
            raise
        return Finding("error", "nothing-pairs", str(error), "Mend this, then inspect again."), []
    outlines = [str(one.message) for one in said if issubclass(one.category, OutlineWarning)]
    remedy = "Nothing, if that is meant; mend the annotations otherwise."
    return found, [
        Finding("warning", "outlines", f"{text.rstrip('.')}.", remedy) for text in outlines
    ]


def _check_colours(classes: Classes, void: Void) -> None:
    """Find a mistyped colour before all files have been read; raises `MaskValueError`."""
    values = list(classes.values()) if isinstance(classes, Mapping) else []
    values += [void] if isinstance(void, str) else void if isinstance(void, Sequence) else []
    for value in values:
        if isinstance(value, str) and value.startswith("#"):
            parse_value(value)


def _common_folder(pairs: Sequence[Pair]) -> Path:
    if not pairs:
        raise PairingError("There are no pairs to audit.")
    folders = {os.fspath(file.parent) for pair in pairs for file in (pair.image, pair.mask)}
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # absolute and relative paths, or several drives
        return Path()


def _understand(
    material: Material, classes: Classes, void: Void, instances: bool
) -> tuple[Material, list[Finding]]:
    """The material with its codec and what each mask holds by it."""
    masks = {f.pair.mask: f.mask for f in material.facts if f.mask}
    findings = []
    codec = None
    if masks:
        try:
            codec, unused = infer_codec(masks, classes, void, instances)
            if unused:
                findings.append(material.find(
                    "warning", "unused-void", unused,
                    "Correct void=, or leave it out.",
                ))  # fmt: skip
        except MaskValueError as error:
            stated = classes is not None or void is not None or instances
            findings.append(material.find(
                "error", "classes-do-not-fit" if stated else "masks-not-understood",
                str(error).replace(f"{material.root}{os.sep}", ""),
                "Say what the masks hold: classes=, void= or instances=True; or mend them.",
            ))  # fmt: skip
    contents = {path: content(mask, codec) for path, mask in masks.items()} if codec else {}
    return replace(material, codec=codec, contents=contents), findings


def _unpaired(material: Material, pairs: PairList) -> list[Finding]:
    kinds = (
        ("unpaired-image", "images have no mask", "masks for them", pairs.unpaired_images),
        ("unpaired-mask", "masks have no image", "their images", pairs.unpaired_masks),
    )
    return [
        material.find(
            "warning",
            code,
            f"{{n}} {what} and are left out: {{files}}.",
            f"Add {missing}, or take these files out.",
            files,
        )
        for code, what, missing, files in kinds
        if files
    ]


def _check(material: Material, quick: bool) -> list[Finding]:
    run = [
        file_checks.check_files,
        file_checks.check_sizes,
        value_checks.check_orientation,
        file_checks.check_groups,
    ]
    if not quick:
        run += [
            value_checks.check_values,
            file_checks.check_pixels,
            file_checks.check_duplicates,
            placement_checks.check_placement,
        ]
        run += [class_checks.check_lossy]
    if material.codec:
        run += [class_checks.check_values, class_checks.check_empty, class_checks.check_classes]
    return [finding for check in run for finding in check(material)]


def _summary(
    material: Material, source: Path, layout: str, findings: tuple[Finding, ...], quick: bool
) -> Audit:
    codec = material.codec
    images = [f.image for f in material.facts if f.image]
    parts = Counter(pair.split for pair in material.pairs)
    mean, std = _over_all(material.facts)
    return Audit(
        source, material.root, layout, len(material.pairs),
        {part: parts[part] for part in material.splits},
        findings,
        task=codec.task if codec else None,
        encoding=codec.encoding if codec else None,
        classes=codec.classes if codec else (),
        void=tuple(codec.kind.format(code) for code in codec.void) if codec else (),
        channels=None if quick else _one_or_all({image.channels for image in images}),
        bit_depth=None if quick else _one_or_all({image.dtype.itemsize * 8 for image in images}),
        sizes=_sizes([image.size for image in images]),
        class_frequencies=class_checks.class_frequencies(material) if codec else {},
        mean=mean, std=std, quick=quick, material=material,
    )  # fmt: skip


def _one_or_all(values: set[int]) -> int | tuple[int, ...] | None:
    return tuple(sorted(values)) if len(values) > 1 else next(iter(values), None)


def _sizes(sizes: Sequence[tuple[int, int]]) -> dict[str, int]:
    common = Counter(map(file_checks.spell_size, sizes)).most_common()
    rest = sum(count for _, count in common[_SIZES:])
    return dict(common[:_SIZES]) | ({"other": rest} if rest else {})


def _over_all(facts: Sequence[Facts]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of all pixels, where the images are of one kind."""
    images = [f.image for f in facts if f.image and len(f.image.mean)]
    if len({(image.channels, image.dtype) for image in images}) != 1:
        return (), ()
    weights = np.array([image.size[0] * image.size[1] for image in images], np.float64)
    means = np.array([image.mean for image in images])
    squares = np.array([image.std**2 for image in images]) + means**2
    mean = np.average(means, axis=0, weights=weights)
    std = np.sqrt(np.maximum(np.average(squares, axis=0, weights=weights) - mean**2, 0))
    return tuple(float(f"{v:.6g}") for v in mean), tuple(float(f"{v:.6g}") for v in std)
