"""How masks may be encoded: one small class for each way, and the choice among them.

Every encoding looks at the same facts, those of all files together, and says what it would make of
them and how well that explains them. The best one is taken; where another fits nearly as well, or
none fits well, the user is asked.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fastunet.data.codes import TRANSPARENT, Code, is_grey_code, spell
from fastunet.data.instances import numbering
from fastunet.data.smear import nearest, peaks_of_jpeg, sharpened, smoothed, too_close
from fastunet.data.survey import MAX_CLASSES, VOID, Survey
from fastunet.errors import MaskValueError, listing

SURE = 0.75  # a reading that explains less is not taken unasked
NEAR = 0.2  # readings that differ by less in what they explain are a question

_ALL_SET = {1, 255, 65535}  # what a pixel holds that is simply "on", by the depth of the file
_VOC_BORDER = 0xE0E0C0  # the colour of index 255 in the palette of Pascal VOC


@dataclass(frozen=True)
class Said:
    """What the user says of the masks, as far as it helps to read them."""

    names: int | None = None  # how many classes were named, in order
    void: tuple[Code, ...] = ()  # codes that do not count


@dataclass(frozen=True)
class Reading:
    """What masks mean, by one encoding."""

    meaning: str  # in plain words, for the question
    survey: Survey  # its codes are the classes, in their order
    fit: float  # how much of the facts it explains: 1 all, 0 none
    say: str = ""  # what the user types to have it
    void: tuple[Code, ...] = ()
    also: Mapping[Code, Code] = field(default_factory=dict)  # code -> that of its class
    refusal: str = ""  # why such masks cannot be used as they are


class Encoding(ABC):
    """A way in which masks may be encoded."""

    @abstractmethod
    def read(self, survey: Survey, said: Said) -> Reading | None:
        """What the masks mean by it; None where they cannot be of this kind."""


def understand(survey: Survey, said: Said) -> Reading:
    """The reading that explains the masks best.

    Raises `MaskValueError` with the answers to choose from where several do about as well, and
    with what came closest where none does.
    """
    readings = [found for one in ENCODINGS if (found := one.read(survey, said))]
    readings.sort(key=lambda reading: -reading.fit)
    if said.names is not None:
        readings = [r for r in readings if len(r.survey.codes) == said.names] or readings
        if len(readings) == 1:
            return _not_refused(readings[0])
    best = [r for r in readings if r.fit > readings[0].fit - NEAR]
    if not best:
        raise MaskValueError(_not_understood(survey))
    for reading in best:
        _not_refused(reading)
    if len(best) > 1 or best[0].fit < SURE:
        raise MaskValueError(_question(survey, best))
    return best[0]


def _not_refused(reading: Reading) -> Reading:
    if reading.refusal:
        raise MaskValueError(reading.refusal)
    return reading


def _question(survey: Survey, readings: Sequence[Reading]) -> str:
    answers = "; or ".join(f"{r.meaning}: pass {r.say}" for r in readings)
    fits = "can be read in more than one way" if len(readings) > 1 else "are not of one kind"
    return f"The masks {fits}. {_files_by_content(survey)} Which is right? Either {answers}."


def _files_by_content(survey: Survey) -> str:
    """`4 files hold 0, 1 (a.png, ...); 5 hold 0, 255 (b.png, ...).`"""
    by_content: dict[frozenset[Code], list[str]] = {}
    for path, codes in survey.present.items():
        by_content.setdefault(codes & frozenset(survey.codes), []).append(path.name)
    ordered = sorted(by_content.items(), key=lambda item: -len(item[1]))
    told = [
        f"{len(names)} {'file holds' if len(names) == 1 else 'files hold'} "
        f"{survey.spell(sorted(codes), 6)} ({listing(names, 1)})"
        for codes, names in ordered[:4]
        if codes
    ]
    more = f"; {len(ordered) - 4} more combinations" if len(ordered) > 4 else ""
    return f"{'; '.join(told)}{more}."


def _not_understood(survey: Survey) -> str:
    n = len(survey.codes)
    return (
        f"The masks hold {n} different {survey.kind} ({survey.spell(survey.codes, 5)}); at most "
        f"{MAX_CLASSES} classes can be trained. Is this an instance map, or a picture instead of a "
        "mask? For an instance map pass instances=True: 0 is background, all else foreground."
    )


# --- values ---------------------------------------------------------------------------------------


class TwoValues(Encoding):
    """Background and foreground: 0 and 255, 0 and 1, or any two values."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if survey.colour or survey.lossy or survey.bands or len(survey.codes) != 2:
            return None
        return Reading("two values", survey, 1.0)


class ClassIndices(Encoding):
    """0, 1, 2, ... and 255 for pixels that do not count."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        values = survey.codes
        if survey.colour or survey.lossy or survey.bands or not 2 <= len(values) <= MAX_CLASSES + 1:
            return None
        others = [value for value in values if value != VOID]
        regular = others == list(range(len(others)))
        if VOID not in values or said.names == len(values):
            if not regular or len(values) == 2:
                return None
            fit = 0.5 if _count_from_zero_and_one(survey) else 1.0
            return Reading("class indices", survey, fit, _name_all(survey))
        named = set(others) <= set(range(said.names or 0))
        from_one = others == list(range(1, len(others) + 1))
        if len(others) < 2 or not (regular or named or from_one):
            return None
        apart = {VOID} in groups(survey)
        return Reading(
            f"class indices, and {VOID} does not count",
            survey.without([VOID]),
            0.5 if apart or not (regular or named) else 1.0,
            f"void={VOID}",
            void=(VOID,),
        )


class SparseValues(Encoding):
    """Any values: 0, 128, 255, or the numbers of a catalogue."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if survey.colour or survey.lossy or survey.bands or not _few(survey):
            return None
        if survey.codes == list(range(len(survey.codes))) or len(survey.codes) == 2:
            return None
        fit = 0.9
        if VOID in survey.codes and ClassIndices().read(survey, said):
            fit = 0.5 if survey.codes[0] else 0.3
        elif _look_like_several_encodings(survey) or _are_stretched(survey):
            fit = 0.5
        return Reading("every value is a class of its own", survey, fit, _name_all(survey))


class OneHot(Encoding):
    """A stack with one band per class; pixels that no band claims do not count."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if not survey.bands:
            return None
        codes = [code for code in survey.codes if code != VOID]
        return Reading("one band per class", survey.among(codes), 1.0, void=(VOID,))


class InstanceNumbers(Encoding):
    """Every object has a number, or a colour, of its own."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        found = numbering(survey)
        if found is None:
            return None
        return Reading(
            "every value is an object", survey.among(survey.codes[:2]), 0.9, "instances=True",
            refusal=f"The masks hold up to {found.n} {survey.kind} that {found.how}, mostly one "
            "patch each: an instance map, which numbers objects. Pass instances=True "
            "(--instances) to tell objects from background; if they are classes after all, name "
            f"them: {_name_all(survey)}.",
        )  # fmt: skip


# --- colours --------------------------------------------------------------------------------------


class PaletteColours(Encoding):
    """Palette files that agree on their palette: the classes are in its order."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if not survey.indices or not _few(survey):
            return None
        *others, last = (survey.indices[code] for code in survey.codes)
        regular = others == list(range(len(others))) or set(others) <= set(range(said.names or 0))
        border = regular or survey.codes[-1] == _VOC_BORDER
        if last != VOID or len(others) < 2 or not border or said.names == len(survey.codes):
            return Reading("the colours of a palette", survey, 1.0)
        void = survey.codes[-1]
        return Reading("a palette, whose index 255 does not count", survey.without([void]), 1.0,
                       f"void={spell(void, True)!r}", void=(void,))  # fmt: skip


class Colours(Encoding):
    """A colour per class."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if not survey.colour or survey.lossy or survey.indices or not _few(survey):
            return None
        if TRANSPARENT in survey.codes:
            return None
        fit = 0.5 if _differ_from_file_to_file(survey) else 0.9
        return Reading("every colour is a class of its own", survey, fit, _name_all(survey))


class TransparentBackground(Encoding):
    """Objects that were cut out: what is transparent around them is the background."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if TRANSPARENT not in survey.codes or survey.lossy or survey.indices or not _few(survey):
            return None
        ordered = [TRANSPARENT, *(code for code in survey.codes if code != TRANSPARENT)]
        black_may_be_background = 0 in ordered and len(ordered) > 2
        doubtful = black_may_be_background or _differ_from_file_to_file(survey)
        names = {f"class {i}": spell(code, True) for i, code in enumerate(ordered)}
        names = dict(zip(["background", *list(names)[1:]], names.values(), strict=True))
        return Reading("what is transparent is the background, and black is a class" if
                       black_may_be_background else "what is transparent is the background",
                       survey.among(ordered), 0.5 if doubtful else 1.0,
                       f"classes={names}")  # fmt: skip


class TransparentVoid(Encoding):
    """Colours, of which some pixels were rubbed out: black is the background."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if TRANSPARENT not in survey.codes or survey.lossy or survey.indices or not _few(survey):
            return None
        if 0 not in survey.codes or len(survey.codes) == 2:
            return None
        return Reading("black is the background, and what is transparent does not count",
                       survey.without([TRANSPARENT]), 0.5,
                       f"void={spell(TRANSPARENT, True)!r}", void=(TRANSPARENT,))  # fmt: skip


# --- what was smeared, and what was mixed ---------------------------------------------------------


class SmearedByJPEG(Encoding):
    """JPEG masks: their codes gather about those that were meant."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if not survey.lossy:
            return None
        peaks = peaks_of_jpeg(survey)
        refusal = ""
        if not peaks.is_mask or not 1 <= len(peaks.classes) <= MAX_CLASSES:
            refusal = (
                f"The masks are JPEG files whose {survey.kind} gather about no few of them: they "
                "look like pictures. Are these the right files? If so, name the classes in a dict, "
                'classes={"name": value, ...}; each pixel then takes the nearest.'
            )
        elif close := too_close(survey, peaks.classes):
            refusal = (
                f"Some masks are JPEG files, which blur {survey.kind}; others hold "
                f"{survey.spell(close)}, which JPEG cannot tell apart. Are these files of one "
                "encoding? Save all of them alike, as PNG."
            )
        elif peaks.doubtful:
            table = {f"class {i}": spell(c, survey.colour) for i, c in enumerate(peaks.classes)}
            refusal = (
                f"The masks are JPEG files, which blur {survey.kind}. Beside "
                f"{survey.spell(peaks.classes)} some pixels are like "
                f"{survey.evidence(peaks.doubtful)}: a rare or thin class, or a smear? Save the "
                "masks as PNG, or say which classes there are; each pixel then takes the nearest: "
                f"classes={table}."
            )
        if refusal:
            return Reading("values blurred by JPEG", survey, 1.0, refusal=refusal)
        void = tuple(_nearest_peak(survey, peaks.classes, code) for code in said.void)
        sharp = sharpened(survey, peaks.classes).without(void)
        if len(sharp.codes) < 2:
            return Reading("values blurred by JPEG", sharp, 1.0, void=void)
        meant = understand(sharp, said)
        blurred = replace(meant.survey, lossy=True)
        return replace(meant, survey=blurred, void=tuple({*void, *meant.void}))


class Smoothed(Encoding):
    """Masks that were resized or drawn with smoothing: mixtures of classes along their seams."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        true = smoothed(survey)
        if not true:
            return None
        share = sum(survey.counts[code] for code in true) / survey.counts.total()
        return Reading(
            "values with smoothed edges", survey.among(true), 1.0,
            refusal=f"The masks hold {len(survey.codes)} different {survey.kind}, but "
            f"{survey.spell(true)} make up {share:.1%} of the pixels: they seem to have been "
            "resized or saved with smoothing. Save them again without, or name those that are "
            f'classes in a dict, classes={{"name": {spell(true[0], survey.colour)!r}, ...}}, and '
            'pass unknown="void" to leave the rest out.',
        )  # fmt: skip


class SeveralEncodings(Encoding):
    """Files of several encodings of the same classes: half of them 0/1 and half 0/255."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if survey.lossy or survey.bands or survey.indices or not _few(survey):
            return None
        found = groups(survey)
        background = [code for code in survey.codes if code in (0, TRANSPARENT)]
        together = any(codes >= {0, TRANSPARENT} for codes in survey.present.values())
        if _differ_from_file_to_file(survey):
            first, *rest = (sorted(group) for group in found)
        elif len(background) == 2 and not together and len(survey.codes) > 2:
            first, rest = [code for code in survey.codes if code not in background], []
        else:
            return None
        if any(len(group) != len(first) for group in rest):
            return None
        also = {code: meant for group in rest for code, meant in zip(group, first, strict=True)}
        also |= {code: background[0] for code in background[1:]}
        classes = [*background[:1], *first]
        table = {
            _default_name(i, len(classes)): _one_or_all(
                [spell(c, survey.colour) for c in (code, *(o for o in also if also[o] == code))]
            )
            for i, code in enumerate(classes)
        }
        return Reading("the files differ in how they encode the same classes",
                       survey.among(classes), 0.5, f"classes={table}", also=also)  # fmt: skip


class PaletteAndIndices(Encoding):
    """Some files have a palette, the others hold its indices as plain values."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        tables = [file.table for file in survey.files if file.table is not None]
        plain = [file for file in survey.files if file.table is None]
        if not tables or not plain or any(f.colour or f.one_bit or f.bands for f in plain):
            return None
        if survey.palette == "index" or not survey.colour:
            return None
        colours = {index: code for table in tables for index, code in table.items()}
        if any(colours[i] != code for table in tables for i, code in table.items()):
            return None
        if any((index == 0) != (code == 0) for index, code in colours.items()):
            return None  # black and 0 are not the same: the order of the palette means nothing
        values = set().union(*(file.counts for file in plain))
        if not values - {0} or not values <= colours.keys():
            return None
        by_index = survey.by_index()
        reading = ClassIndices().read(by_index, said) or TwoValues().read(by_index, said)
        return reading or SparseValues().read(by_index, said)


ENCODINGS: tuple[Encoding, ...] = (
    TwoValues(),
    ClassIndices(),
    SparseValues(),
    OneHot(),
    InstanceNumbers(),
    PaletteColours(),
    PaletteAndIndices(),
    Colours(),
    TransparentBackground(),
    TransparentVoid(),
    SmearedByJPEG(),
    Smoothed(),
    SeveralEncodings(),
)


# --- the facts that they look at ------------------------------------------------------------------


def groups(survey: Survey) -> list[set[Code]]:
    """The codes beside the background, in groups of which no file holds two."""
    found: list[set[Code]] = []
    for codes in survey.present.values():
        together = {code for code in codes if code in survey.codes} - {0, TRANSPARENT}
        if together:
            touched = [group for group in found if group & together]
            found = [group for group in found if not group & together]
            found.append(together.union(*touched))
    return sorted(found, key=min)


def _differ_from_file_to_file(survey: Survey) -> bool:
    return _grey_and_colour(survey) or _look_like_several_encodings(survey)


def _look_like_several_encodings(survey: Survey) -> bool:
    """Whether files hold values that never meet, and together make no order.

    One class per image, of three or more, is no such case: its values are single, and none of them
    is one that only says that a pixel is set.
    """
    found = groups(survey)
    if len(found) <= 2:
        return len(found) == 2
    return any(len(group) > 1 for group in found) or (
        not survey.colour and any(group <= _ALL_SET for group in found)
    )


def _grey_and_colour(survey: Survey) -> bool:
    """Whether files without a colour hold greys that no file with colours holds."""
    grey = [f.path for f in survey.files if not f.colourful]
    lively = [f.path for f in survey.files if f.colourful]
    of_grey, of_colour = (
        set().union(*(survey.present[path] for path in paths)) & set(survey.codes)
        for paths in (grey, lively)
    )
    return bool(of_colour) and any(is_grey_code(c) for c in of_grey - of_colour - {0, TRANSPARENT})


def _count_from_zero_and_one(survey: Survey) -> bool:
    """Whether some files seem to count their classes from 0 and some from 1.

    Many files then lack the lowest value, others the highest, and none holds both.
    """
    low, high = survey.codes[0], survey.codes[-1]
    files = list(survey.present.values())
    with_low, with_high = ([codes for codes in files if end in codes] for end in (low, high))
    apart = not any(high in codes for codes in with_low)
    return apart and min(len(with_low), len(with_high), len(files) - len(with_low)) > 1


def _are_stretched(survey: Survey) -> bool:
    """Whether each file is spread over 0..255 by itself, as a picture of class indices is drawn."""
    files = [codes & set(survey.codes) for codes in survey.present.values()]
    files = [codes for codes in files if len(codes) > 1]
    if survey.codes[-1] != 255 or not all(max(codes) == 255 for codes in files):
        return False
    steps = {_evenly_spread(codes) for codes in files}
    together = _evenly_spread(survey.codes)
    regular = together is not None and len(survey.codes) >= together  # but for one, all are there
    return None not in steps and len(steps) > 1 and not regular


def _evenly_spread(codes: Collection[Code]) -> int | None:
    """Into how few even steps of 0..255 the codes fit; None where it takes more than eight."""
    for steps in range(1, 9):
        marks = [255 * i / steps for i in range(steps + 1)]
        if all(min(abs(code - mark) for mark in marks) <= 1 for code in codes):
            return steps
    return None


def _few(survey: Survey) -> bool:
    return 2 <= len(survey.codes) <= MAX_CLASSES


def _nearest_peak(survey: Survey, peaks: Sequence[Code], code: Code) -> Code:
    """The class of JPEG masks that a stated code means. Raises `MaskValueError` for none."""
    found = nearest(peaks, code, survey.colour)
    if found is None:
        raise MaskValueError(
            f"void={spell(code, survey.colour)!r} is not near any of the {survey.kind} that the "
            f"JPEG masks gather about: {survey.spell(peaks)}."
        )
    return found


def _name_all(survey: Survey) -> str:
    names = [f"class {i}" for i in range(len(survey.codes))]
    return f"classes={names}" if len(names) <= 6 else f"classes=[...] with {len(names)} names"


def _default_name(index: int, n: int) -> str:
    if index == 0:
        return "background"
    return "foreground" if n == 2 else f"class {index}"


def _one_or_all(values: Iterable[str | int]) -> str | int | Collection[str | int]:
    every = list(values)
    return every[0] if len(every) == 1 else every
