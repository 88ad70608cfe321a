"""The encoding of masks: the one that explains them best, or a question to the user."""

from collections.abc import Sequence
from dataclasses import replace

from fastunet._util.text import listing
from fastunet.errors import MaskValueError
from fastunet.labels import MAX_CLASSES
from fastunet.masks.codes import Code
from fastunet.masks.encodings.colours import (
    colours,
    palette_colours,
    transparent_background,
    transparent_void,
)
from fastunet.masks.encodings.jpeg import before_jpeg
from fastunet.masks.encodings.mixed import palette_and_indices, several_encodings, smoothed
from fastunet.masks.encodings.reading import Encoding, Reading, UserStatement
from fastunet.masks.encodings.values import (
    class_indices,
    instance_numbers,
    one_band_per_class,
    sparse_values,
    two_values,
)
from fastunet.masks.statistics import MaskSetStats

SURE = 0.75  # a reading that explains less is not taken unasked
NEAR = 0.2  # readings that differ by less in what they explain are a question

ENCODINGS: tuple[Encoding, ...] = (
    two_values,
    class_indices,
    sparse_values,
    one_band_per_class,
    instance_numbers,
    palette_colours,
    palette_and_indices,
    colours,
    transparent_background,
    transparent_void,
    smoothed,
    several_encodings,
)


def understand(stats: MaskSetStats, stated: UserStatement) -> Reading:
    """The reading that explains the masks best.

    Raises `MaskValueError` with the answers to choose from where several do about as well, and
    with what came closest where none does.
    """
    if stats.lossy:
        return _understand_jpeg(stats, stated)
    readings = [found for encoding in ENCODINGS if (found := encoding(stats, stated))]
    readings.sort(key=lambda reading: -reading.fit)
    if stated.n_names is not None:
        readings = [r for r in readings if len(r.stats.codes) == stated.n_names] or readings
        if len(readings) == 1:
            return _not_refused(readings[0])
    best = [r for r in readings if r.fit > readings[0].fit - NEAR]
    if not best:
        raise MaskValueError(_not_understood(stats))
    for reading in best:
        _not_refused(reading)
    if len(best) > 1 or best[0].fit < SURE:
        raise MaskValueError(_question(stats, best))
    return best[0]


def _understand_jpeg(stats: MaskSetStats, stated: UserStatement) -> Reading:
    sharp, void = before_jpeg(stats, stated.void)
    if len(sharp.codes) < 2:
        return Reading("values blurred by JPEG", sharp, 1.0, void=void)
    meant = understand(sharp, stated)
    blurred = replace(meant.stats, lossy=True)
    return replace(meant, stats=blurred, void=tuple({*void, *meant.void}))


def _not_refused(reading: Reading) -> Reading:
    if reading.refusal:
        raise MaskValueError(reading.refusal)
    return reading


def _question(stats: MaskSetStats, readings: Sequence[Reading]) -> str:
    answers = "; or ".join(f"{r.meaning}: pass {r.option}" for r in readings)
    fits = "can be read in more than one way" if len(readings) > 1 else "are not of one kind"
    return f"The masks {fits}. {_files_by_content(stats)} Which is right? Either {answers}."


def _files_by_content(stats: MaskSetStats) -> str:
    """What groups of files hold: `4 files hold 0, 1 (a.png, ...); 5 files hold 0, 255 (...).`."""
    by_content: dict[frozenset[Code], list[str]] = {}
    for path, codes in stats.present.items():
        by_content.setdefault(codes & frozenset(stats.codes), []).append(path.name)
    ordered = sorted(by_content.items(), key=lambda item: -len(item[1]))
    told = [
        f"{len(names)} {'file holds' if len(names) == 1 else 'files hold'} "
        f"{stats.format(sorted(codes), 6)} ({listing(names, 1)})"
        for codes, names in ordered[:4]
        if codes
    ]
    more = f"; {len(ordered) - 4} more combinations" if len(ordered) > 4 else ""
    return f"{'; '.join(told)}{more}."


def _not_understood(stats: MaskSetStats) -> str:
    n = len(stats.codes)
    return (
        f"The masks hold {n} different {stats.kind} ({stats.format(stats.codes, 5)}); at most "
        f"{MAX_CLASSES} classes can be trained. Is this an instance map, or a picture instead of a "
        "mask? For an instance map pass instances=True: 0 is background, all else foreground."
    )
