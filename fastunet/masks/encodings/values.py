"""Masks of values: two, class indices, any others, bands, and numbers of objects."""

from fastunet.labels import MAX_CLASSES, VOID
from fastunet.masks.encodings.facts import (
    are_stretched,
    count_from_zero_and_one,
    groups,
    look_like_several_encodings,
)
from fastunet.masks.encodings.reading import Encoding, Reading, Said, are_few, name_all
from fastunet.masks.instance_maps import numbering
from fastunet.masks.statistics import Survey


class TwoValues(Encoding):
    """Background and foreground: 0 and 255, 0 and 1, or any two values."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        if survey.colour or survey.bands or len(survey.codes) != 2:
            return None
        return Reading("two values", survey, 1.0)


class ClassIndices(Encoding):
    """0, 1, 2, ... and 255 for pixels that do not count."""

    def read(self, survey: Survey, said: Said) -> Reading | None:
        values = survey.codes
        if survey.colour or survey.bands or not 2 <= len(values) <= MAX_CLASSES + 1:
            return None
        others = [value for value in values if value != VOID]
        regular = others == list(range(len(others)))
        if VOID not in values or said.names == len(values):
            if not regular or len(values) == 2:
                return None
            fit = 0.5 if count_from_zero_and_one(survey) else 1.0
            return Reading("class indices", survey, fit, name_all(survey))
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
        if survey.colour or survey.bands or not are_few(survey):
            return None
        if survey.codes == list(range(len(survey.codes))) or len(survey.codes) == 2:
            return None
        fit = 0.9
        if VOID in survey.codes and ClassIndices().read(survey, said):
            fit = 0.5 if survey.codes[0] else 0.3
        elif look_like_several_encodings(survey) or are_stretched(survey):
            fit = 0.5
        return Reading("every value is a class of its own", survey, fit, name_all(survey))


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
            "every value is an object",
            survey.among(survey.codes[:2]),
            0.9,
            "instances=True",
            refusal=f"The masks hold up to {found.n} {survey.kind} that {found.how}, mostly one "
            "patch each: an instance map, which numbers objects. Pass instances=True "
            "(--instances) to tell objects from background; if they are classes after all, name "
            f"them: {name_all(survey)}.",
        )
