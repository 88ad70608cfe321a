"""From pairs to what training needs to know: good pairs, classes, parts and the network's input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

from fastunet._util.text import listing
from fastunet._util.warn import warn
from fastunet.checks.all_checks import run_checks
from fastunet.checks.audit import look_at
from fastunet.checks.bad_pairs import (
    Skipped,
    refuse_bad_pairs,
    warn_of_skipped,
    without_bad_pairs,
    without_unknown_values,
)
from fastunet.checks.orientation import choose_orientation
from fastunet.checks.resolution import Resolution, measure_resolution
from fastunet.choices import Orientation
from fastunet.data.cache import room_in_memory
from fastunet.errors import AuditError, SplitError
from fastunet.masks.classes import unused_void
from fastunet.masks.codec import MaskCodec
from fastunet.masks.statistics import MaskSetStats
from fastunet.pairs.groups import propose_groups
from fastunet.pairs.pair import Pair, PairList
from fastunet.pairs.split import Present, k_fold, split_pairs
from fastunet.pairs.stated_split import split_as_stated
from fastunet.plan import InputOptions, MaskOptions, SplitOptions
from fastunet.preprocess import Preprocess
from fastunet.scan.decoded import DecodedFiles
from fastunet.scan.pair_stats import PairStats, mask_stats

_SIDE = 256  # pixels of the network's input, where nobody says


@dataclass(frozen=True)
class Understood:
    """A data set whose files were looked at: what its masks hold, and who is in which part."""

    parts: dict[str, list[Pair]]  # by "train", "valid" and "test"
    codec: MaskCodec
    orientation: Orientation  # how turned photos enter the network
    skipped: Sequence[Skipped]  # pairs that were left out
    files: DecodedFiles  # what was decoded on the way

    @property
    def shown(self) -> list[Pair]:
        """The pairs that training and validation go over."""
        return [*self.parts["train"], *self.parts["valid"]]


@dataclass(frozen=True)
class Prepared(Understood):
    """The same with the network's input: what its loaders are made of."""

    preprocess: Preprocess
    resolution: Resolution  # what the network's size leaves of the masks


def understand(
    pairs: Sequence[Pair],
    mask: MaskOptions,
    split: SplitOptions,
    input: InputOptions,
    codec: MaskCodec | None = None,  # instead of inferring one
    orientation: Orientation | None = None,  # instead of finding it out
    progress: bool = True,
    files: DecodedFiles | None = None,  # what was decoded already
) -> Understood:
    """Look at the files, each decoded once while memory lasts. Raises as `from_pairs` says."""
    files = files or DecodedFiles(room_in_memory())
    every, skipped = pairs, list[Skipped]()
    if input.skip_bad:
        pairs, skipped = without_bad_pairs(every, progress, files)
    layout = pairs if isinstance(pairs, PairList) else PairList(list(pairs), "pairs")
    if input.strict:
        stats = _audited(layout, mask, input, files, progress)
    else:
        stats = refuse_bad_pairs(pairs, progress)
    if orientation is None:
        orientation = choose_orientation(stats, input.orientation, progress, files)

    present = None
    if codec is None or _is_drawn(pairs, split):
        masks, present = MaskSetStats.telling(mask_stats(stats, files, progress))
    if codec is None:
        classes = layout.classes if mask.classes is None else mask.classes
        void = (layout.void or None) if mask.void is None else mask.void
        codec = MaskCodec.from_stats(masks, classes, void, mask.instances, mask.unknown)
        if unused := unused_void(masks, mask.void):
            warn(unused)
    if input.skip_bad:
        pairs, unknown_values = without_unknown_values(pairs, codec, progress, files)
        skipped += unknown_values
        warn_of_skipped(skipped, len(every))
    parts = _parts(every, pairs, skipped, split, present)
    return Understood(parts, codec, orientation, skipped, files)


def prepare(
    data: Understood,
    input: InputOptions,
    preprocess: Preprocess | None = None,  # instead of inferring one
    progress: bool = True,
) -> Prepared:
    """Add what the network sees of the data. Raises as `from_pairs` says."""
    files = data.files
    if preprocess is None:
        side = _SIDE if input.size is None else input.size
        preprocess = Preprocess.infer(
            [pair.image_files for pair in data.parts["train"]],
            side if input.patch is None else input.patch,
            input.channels,
            "resize" if input.patch is None else "patch",
            input.scale,
            input.scaling,
            progress=progress,
            orientation=data.orientation,
            read=files.image,
        )
    used = [pair for part in data.parts.values() for pair in part]
    channel_files = max((len(pair.image_files) for pair in used), default=1)
    preprocess = replace(preprocess, channel_files=channel_files)
    resolution = measure_resolution(
        [pair.mask for pair in data.shown],
        partial(files.class_indices, codec=data.codec),
        data.codec.classes,
        preprocess,
        progress,
    )
    if resolution.lost:
        warn(f"{resolution.message} {resolution.advice}")
    of_data = {field.name: getattr(data, field.name) for field in fields(Understood)}
    return Prepared(**of_data, preprocess=preprocess, resolution=resolution)


def _audited(
    pairs: PairList, mask: MaskOptions, input: InputOptions, files: DecodedFiles, progress: bool
) -> Sequence[PairStats]:
    """What the audit looks at; raises `AuditError` for any error that it finds."""
    context, findings = look_at(
        pairs,
        Path(),
        mask.classes,
        mask.void,
        mask.instances,
        input.scaling,
        input.orientation,
        progress=progress,
        files=files,
    )
    errors = [one for one in [*findings, *run_checks(context)] if one.severity == "error"]
    if errors:
        raise AuditError(" ".join(f"{found.message} {found.remedy}" for found in errors))
    return context.stats


# --- parts ----------------------------------------------------------------------------------------


def _is_drawn(pairs: Sequence[Pair], split: SplitOptions) -> bool:
    """Whether chance decides which part a pair is in."""
    if split.fold is not None or split.split is not None:
        return split.fold is not None
    there = {pair.split for pair in pairs}
    return "valid" not in there or (bool(split.test_pct) and "test" not in there)


def _parts(
    every: Sequence[Pair],
    pairs: Sequence[Pair],  # those of them that can be used
    skipped: Sequence[Skipped],
    split: SplitOptions,
    present: Present | None,  # the codes of each mask
) -> dict[str, list[Pair]]:
    if split.split is not None:  # it may name images that are left out
        return _without(skipped, split_as_stated(every, split.split))
    if split.fold is not None:
        fold, k = split.fold
        return k_fold(pairs, k, fold, split.seed, present=present, groups=split.groups)
    parts = split_pairs(pairs, split.valid_pct, split.seed, split.test_pct, present, split.groups)
    _warn_of_torn_groups(pairs, split.groups)
    return parts


def _without(
    skipped: Sequence[Skipped], parts: Mapping[str, Sequence[Pair]]
) -> dict[str, list[Pair]]:
    left_out = {(one.pair.image, one.pair.mask) for one in skipped}
    kept = {
        name: [pair for pair in some if (pair.image, pair.mask) not in left_out]
        for name, some in parts.items()
    }
    for name in ("train", "valid"):
        if not kept[name]:
            raise SplitError(
                f"No pair of the {name} part can be used: all {len(parts[name])} are left out by "
                "skip_bad=True. Mend them, or choose another split."
            )
    return kept


def _warn_of_torn_groups(pairs: Sequence[Pair], groups) -> None:
    """A random split of what the names show to be groups flatters the scores."""
    if groups is not None or any(pair.split == "valid" or pair.group for pair in pairs):
        return
    proposed = propose_groups(pairs)
    if proposed:
        names = sorted(set(proposed.values()))
        warn(
            f"File names show {len(names)} groups ({listing(names, 3)}): views of one thing, or "
            "frames of one video. The random split tears them apart, so the scores may be too "
            'good; groups="auto" (--groups auto) keeps each in one part.'
        )
