"""The plain rows that an evaluation is made of, for tables, pictures and files alike."""

from dataclasses import dataclass

from fastunet.evaluation.bootstrap import Interval

BOUNDARY = ("hd95", "surface_dice", "boundary_iou")  # measures of outlines, in this order


@dataclass(frozen=True)
class Probabilities:
    """What the probabilities were worth, beyond the class that was decided by them."""

    calibration_error: float  # expected, see `fastunet.metrics.Calibration`
    brier: float
    bin_pixels: tuple[int, ...]  # of a reliability diagram
    bin_confidence: tuple[float | None, ...]  # None: no pixel fell into the bin
    bin_accuracy: tuple[float | None, ...]
    threshold_dice: tuple[float | None, ...] = ()  # binary: at 0, 1/1024, ...; None: no foreground


@dataclass(frozen=True)
class ClassScores:
    """A row of the table: one class over all images. Without any pixel of it scores are nan."""

    name: str
    dice: float
    iou: float
    precision: float
    recall: float
    specificity: float
    pixels: int  # that are truly of the class
    images: int  # in which there are such pixels
    dice_interval: Interval
    iou_interval: Interval
