"""JPEG masks: their codes gather about those that were saved."""

from collections.abc import Sequence

from fastunet.errors import MaskValueError
from fastunet.labels import MAX_CLASSES
from fastunet.masks.codes import Code
from fastunet.masks.smoothing import Modes, modes_of_jpeg, nearest, sharpened, too_close
from fastunet.masks.statistics import MaskSetStats


def before_jpeg(
    stats: MaskSetStats,
    void: Sequence[Code],  # as the user states it
) -> tuple[MaskSetStats, tuple[Code, ...]]:
    """The stats as it would be without loss, and the codes of void in it.

    Raises `MaskValueError` where that cannot be told.
    """
    modes = modes_of_jpeg(stats)
    if refusal := _refusal(stats, modes):
        raise MaskValueError(refusal)
    meant = tuple(_nearest_mode(stats, modes.classes, code) for code in void)
    return sharpened(stats, modes.classes).without(meant), meant


def _refusal(stats: MaskSetStats, modes: Modes) -> str:
    if not modes.is_mask or not 1 <= len(modes.classes) <= MAX_CLASSES:
        return (
            f"The masks are JPEG files whose {stats.kind} gather about no few of them: they look "
            "like pictures. Are these the right files? If so, name the classes in a dict, "
            'classes={"name": value, ...}; each pixel then takes the nearest.'
        )
    if close := too_close(stats, modes.classes):
        return (
            f"Some masks are JPEG files, which blur {stats.kind}; others hold "
            f"{stats.format(close)}, which JPEG cannot tell apart. Are these files of one "
            "encoding? Save all of them alike, as PNG."
        )
    if modes.doubtful:
        table = {f"class {i}": stats.kind.format(c) for i, c in enumerate(modes.classes)}
        return (
            f"The masks are JPEG files, which blur {stats.kind}. Beside "
            f"{stats.format(modes.classes)} some pixels are like "
            f"{stats.evidence(modes.doubtful)}: a rare or thin class, or a blurred edge? Save the "
            "masks as PNG, or say which classes there are; each pixel then takes the nearest: "
            f"classes={table}."
        )
    return ""


def _nearest_mode(stats: MaskSetStats, modes: Sequence[Code], code: Code) -> Code:
    """The class of JPEG masks that a stated code means. Raises `MaskValueError` for none."""
    found = nearest(modes, code, stats.kind)
    if found is None:
        raise MaskValueError(
            f"void={stats.kind.format(code)!r} is not near any of the {stats.kind} that "
            f"the JPEG masks gather about: {stats.format(modes)}."
        )
    return found
