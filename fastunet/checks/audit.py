"""The audit of a data set: all that can be known of it, and be wrong with it, before training."""

import os
import shlex
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from fastunet._util.terminal import options
from fastunet._util.threads import in_threads
from fastunet.checks.all_checks import run_checks
from fastunet.checks.check import CheckContext
from fastunet.checks.check_classes import class_frequencies
from fastunet.checks.check_detail import measure_detail
from fastunet.checks.check_files import size_text
from fastunet.checks.finding import Finding, Severity
from fastunet.checks.report import Audit
from fastunet.checks.understand import content, infer_codec
from fastunet.choices import Orientation, Scaling
from fastunet.errors import AmbiguousPairingError, MaskValueError, PairingError
from fastunet.io.library_messages import gathered_messages
from fastunet.masks.classes import Classes, Void
from fastunet.masks.codes import parse_value
from fastunet.pairs.find import find_pairs
from fastunet.pairs.formats.rasterise import OutlineWarning
from fastunet.pairs.formats.registry import recognise
from fastunet.pairs.pair import Pair, PairList
from fastunet.scan.decoded import NOTHING_KEPT, DecodedFiles
from fastunet.scan.pair_stats import ImageStats, examine, examine_headers

_SIZES = 20  # counted one by one


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
    files: DecodedFiles = NOTHING_KEPT,  # what was decoded already, and is kept for later
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
        "size": _as_typed(size),
        "patch": _as_typed(patch),
        "scale": None if scale == 1 else f"{scale:g}",
    }
    typed = shlex.join(options(stated_by_user))
    if isinstance(path_or_pairs, str | os.PathLike):
        source = Path(path_or_pairs)
        found, said = _find(source, images, masks, prefix, suffix)
        root = source if source.is_dir() else source.parent
        if isinstance(found, Finding):
            return Audit(source, root, "nothing pairs", 0, {}, (found,), quick=quick, options=typed)
        given: Sequence[Pair] = found
    else:
        given, said = path_or_pairs, []
        source = root = _common_folder(given)
    stated = given if isinstance(given, PairList) else PairList(list(given), "pairs")
    context, misread = look_at(
        stated, root, classes, void, instances, scaling, orientation, quick, progress, files
    )
    findings = [*_unpaired(context, stated), *said, *misread]
    if context.codec:
        detail = measure_detail(context, size, patch, scale, progress)
        context = replace(context, resolution=detail)
    findings += run_checks(context)
    findings.sort(key=lambda finding: get_args(Severity).index(finding.severity))
    return _report(context, findings, source, stated.layout, typed)


def look_at(
    pairs: PairList,
    root: Path,  # names in findings are relative to it
    classes: Classes,  # these, as in `audit`
    void: Void,
    instances: bool,
    scaling: Scaling,
    orientation: Orientation | None,
    quick: bool = False,
    progress: bool = True,
    files: DecodedFiles = NOTHING_KEPT,
) -> tuple[CheckContext, list[Finding]]:
    """What the checks look at, each file looked at once; and where masks are not understood."""
    typed_void = void
    classes = classes if classes is not None else pairs.classes
    void = void if void is not None else (pairs.void or None)
    _check_colours(classes, void)
    look = partial(examine_headers, orientation=orientation)
    if not quick:
        look = partial(examine, orientation=orientation, files=files)
    stats = list(in_threads(look, pairs, "Reading headers" if quick else "Auditing", progress))
    context = CheckContext(
        root, pairs, stats, quick, scaling=scaling, orientation=orientation, files=files
    )
    return (context, []) if quick else _with_codec(context, classes, void, instances, typed_void)


def _as_typed(size: int | tuple[int, int] | None) -> str | None:
    """256, or 192x256 (height x width)."""
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    return str(height) if height == width else size_text((height, width))


def _find(root: Path, images, masks, prefix, suffix) -> tuple[PairList | Finding, list[Finding]]:
    """The pairs, or a finding where there is a layout in which nothing pairs; and what was said."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")  # what is left over becomes a finding of its own
            found = find_pairs(root, images, masks, prefix, suffix)
    except AmbiguousPairingError as error:
        return Finding("error", "which-masks", str(error), "Say which, then audit again."), []
    except PairingError as error:
        folders = [root / folder for folder in (images, masks) if folder is not None]
        known = all(map(Path.is_dir, folders)) if len(folders) == 2 else not folders
        if not root.is_dir() or not known or not (folders or recognise(root)):
            raise
        return Finding("error", "nothing-pairs", str(error), "Mend this, then audit again."), []
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


def _with_codec(
    context: CheckContext, classes: Classes, void: Void, instances: bool, typed_void: Void
) -> tuple[CheckContext, list[Finding]]:
    """The context with its codec and what each mask holds by it; and what does not fit."""
    masks = {f.pair.mask: f.mask for f in context.stats if f.mask}
    if not masks:
        return context, []
    try:
        codec, unused = infer_codec(masks, classes, void, instances)
    except MaskValueError as error:
        stated = classes is not None or void is not None or instances
        code = "classes-do-not-fit" if stated else "masks-not-understood"
        said = str(error).replace(f"{context.root}{os.sep}", "")
        remedy = "Say what the masks hold: classes=, void= or instances=True; or mend them."
        return context, [Finding("error", code, said, remedy)]
    contents = {
        path: content(mask.stats, mask.lossy, codec) for path, mask in masks.items() if mask.stats
    }
    context = replace(context, codec=codec, contents=contents)
    if not unused or typed_void is None:  # a layout's void may be unused
        return context, []
    remedy = "Correct void=, or leave it out."
    return context, [Finding("warning", "unused-void", unused, remedy)]


def _unpaired(context: CheckContext, pairs: PairList) -> Iterator[Finding]:
    message = "{n:image has no mask and is|images have no mask and are} left out: {files}."
    remedy = "Add masks for them, or take these files out."
    images = pairs.unpaired_images
    yield from context.report("warning", "unpaired-image", message, remedy, images)
    message = "{n:mask has no image and is|masks have no image and are} left out: {files}."
    remedy = "Add their images, or take these files out."
    yield from context.report("warning", "unpaired-mask", message, remedy, pairs.unpaired_masks)


def _report(
    context: CheckContext, findings: Sequence[Finding], source: Path, layout: str, typed: str
) -> Audit:
    codec = context.codec
    images = [] if context.quick else [image for _, image in context.images]
    parts = Counter[str](pair.split for pair in context.pairs)
    mean, std = _over_all(images)
    return Audit(
        source,
        context.root,
        layout,
        len(context.pairs),
        {part: parts[part] for part in context.splits},
        tuple(findings),
        task=codec.task if codec else None,
        encoding=codec.encoding if codec else None,
        classes=codec.classes if codec else (),
        void=tuple(codec.kind.format(code) for code in codec.void) if codec else (),
        channels=_one_or_all({image.channels for image in images}),
        bit_depth=_one_or_all({image.dtype.itemsize * 8 for image in images}),
        sizes=_sizes([image.size for _, image in context.images]),
        class_frequencies=class_frequencies(context) if codec else {},
        mean=mean,
        std=std,
        resolution=context.resolution,
        quick=context.quick,
        options=typed,
        context=context,
    )


def _one_or_all(values: set[int]) -> int | tuple[int, ...] | None:
    return tuple(sorted(values)) if len(values) > 1 else next(iter(values), None)


def _sizes(sizes: Sequence[tuple[int, int]]) -> dict[str, int]:
    common = Counter(map(size_text, sizes)).most_common()
    rest = sum(count for _, count in common[_SIZES:])
    return dict(common[:_SIZES]) | ({"other": rest} if rest else {})


def _over_all(images: Sequence[ImageStats]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of all pixels, where the images are of one kind."""
    if len({(image.channels, image.dtype) for image in images}) != 1:
        return (), ()
    weights = np.array([image.size[0] * image.size[1] for image in images], np.float64)
    means = np.array([image.mean for image in images])
    squares = np.array([image.std**2 for image in images]) + means**2
    mean = np.average(means, axis=0, weights=weights)
    std = np.sqrt(np.maximum(np.average(squares, axis=0, weights=weights) - mean**2, 0))
    return tuple(float(f"{v:.6g}") for v in mean), tuple(float(f"{v:.6g}") for v in std)
