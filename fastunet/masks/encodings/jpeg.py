"""JPEG masks: their codes gather about those that were saved."""

from collections.abc import Sequence

from fastunet.errors import MaskValueError
from fastunet.labels import MAX_CLASSES
from fastunet.masks.raw import Code, spell
from fastunet.masks.smoothing import Peaks, nearest, peaks_of_jpeg, sharpened, too_close
from fastunet.masks.statistics import Survey


def before_jpeg(
    survey: Survey,
    void: Sequence[Code],  # as the user states it
) -> tuple[Survey, tuple[Code, ...]]:
    """The survey as it would be without loss, and the codes of void in it.

    Raises `MaskValueError` where that cannot be told.
    """
    peaks = peaks_of_jpeg(survey)
    if refusal := _refusal(survey, peaks):
        raise MaskValueError(refusal)
    meant = tuple(_nearest_peak(survey, peaks.classes, code) for code in void)
    return sharpened(survey, peaks.classes).without(meant), meant


def _refusal(survey: Survey, peaks: Peaks) -> str:
    if not peaks.is_mask or not 1 <= len(peaks.classes) <= MAX_CLASSES:
        return (
            f"The masks are JPEG files whose {survey.kind} gather about no few of them: they look "
            "like pictures. Are these the right files? If so, name the classes in a dict, "
            'classes={"name": value, ...}; each pixel then takes the nearest.'
        )
    if close := too_close(survey, peaks.classes):
        return (
            f"Some masks are JPEG files, which blur {survey.kind}; others hold "
            f"{survey.spell(close)}, which JPEG cannot tell apart. Are these files of one "
            "encoding? Save all of them alike, as PNG."
        )
    if peaks.doubtful:
        table = {f"class {i}": spell(c, survey.colour) for i, c in enumerate(peaks.classes)}
        return (
            f"The masks are JPEG files, which blur {survey.kind}. Beside "
            f"{survey.spell(peaks.classes)} some pixels are like "
            f"{survey.evidence(peaks.doubtful)}: a rare or thin class, or a smear? Save the masks "
            "as PNG, or say which classes there are; each pixel then takes the nearest: "
            f"classes={table}."
        )
    return ""


def _nearest_peak(survey: Survey, peaks: Sequence[Code], code: Code) -> Code:
    """The class of JPEG masks that a stated code means. Raises `MaskValueError` for none."""
    found = nearest(peaks, code, survey.colour)
    if found is None:
        raise MaskValueError(
            f"void={spell(code, survey.colour)!r} is not near any of the {survey.kind} that the "
            f"JPEG masks gather about: {survey.spell(peaks)}."
        )
    return found
