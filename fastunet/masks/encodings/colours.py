"""Masks of colours: of a palette, any others, and with transparent pixels."""

from fastunet.labels import VOID
from fastunet.masks.encodings.facts import differ_from_file_to_file
from fastunet.masks.encodings.reading import Encoding, Reading, Said, are_few, name_all
from fastunet.masks.raw import TRANSPARENT, spell
from fastunet.masks.statistics import Survey

_VOC_BORDER = 0xE0E0C0  # the colour of index 255 in the palette of Pascal VOC


class PaletteColours(Encoding):
    """Palette files that agree on their palette: the classes are in its order."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if not survey.indices or not are_few(survey):
            return None
        *others, last = (survey.indices[code] for code in survey.codes)
        regular = others == list(range(len(others))) or set(others) <= set(range(said.names or 0))
        border = regular or survey.codes[-1] == _VOC_BORDER
        if last != VOID or len(others) < 2 or not border or said.names == len(survey.codes):
            return Reading("the colours of a palette", survey, 1.0)
        void = survey.codes[-1]
        return Reading(
            "a palette, whose index 255 does not count",
            survey.without([void]),
            1.0,
            f"void={spell(void, True)!r}",
            void=(void,),
        )


class Colours(Encoding):
    """A colour per class."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if not survey.colour or survey.indices or not are_few(survey):
            return None
        if TRANSPARENT in survey.codes:
            return None
        fit = 0.5 if differ_from_file_to_file(survey) else 0.9
        return Reading("every colour is a class of its own", survey, fit, name_all(survey))


class TransparentBackground(Encoding):
    """Objects that were cut out: what is transparent around them is the background."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if TRANSPARENT not in survey.codes or survey.indices or not are_few(survey):
            return None
        ordered = [TRANSPARENT, *(code for code in survey.codes if code != TRANSPARENT)]
        black_may_be_background = 0 in ordered and len(ordered) > 2
        doubtful = black_may_be_background or differ_from_file_to_file(survey)
        names = ["background", *(f"class {i}" for i in range(1, len(ordered)))]
        table = {name: spell(code, True) for name, code in zip(names, ordered, strict=True)}
        return Reading(
            "what is transparent is the background, and black is a class"
            if black_may_be_background
            else "what is transparent is the background",
            survey.among(ordered),
            0.5 if doubtful else 1.0,
            f"classes={table}",
        )


class TransparentVoid(Encoding):
    """Colours, of which some pixels were rubbed out: black is the background."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if TRANSPARENT not in survey.codes or survey.indices or not are_few(survey):
            return None
        if 0 not in survey.codes or len(survey.codes) == 2:
            return None
        return Reading(
            "black is the background, and what is transparent does not count",
            survey.without([TRANSPARENT]),
            0.5,
            f"void={spell(TRANSPARENT, True)!r}",
            void=(TRANSPARENT,),
        )
