"""What a model scores on image/mask pairs at the images' own size."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from tqdm import tqdm

from fastunet.data.pairs import Pair
from fastunet.data.reader import read_pair
from fastunet.inference import Segmenter
from fastunet.metrics import Confusion


@dataclass(frozen=True)
class Evaluation:
    """Scores from pixels counted over all images, void left out."""

    split: str
    images: int
    classes: tuple[str, ...]
    confusion: Confusion = field(repr=False)

    @property
    def dice(self) -> float:
        """Binary: of the foreground. Multiclass: the mean over classes; absent ones left out."""
        return self.confusion.mean_dice()

    @property
    def mean_iou(self) -> float:
        """As `dice`, of the intersection over union."""
        return self.confusion.mean_iou()

    def to_dict(self) -> dict:
        """Plain JSON values, with what they mean."""
        return {
            "split": self.split,
            "images": self.images,
            "resolution": "the images' own size",
            "reduction": "pixels counted over all images"
            + ("; foreground" if len(self.classes) == 2 else "; mean over classes"),
            "dice": _number(self.dice),
            "mean_iou": _number(self.mean_iou),
            "pixel_accuracy": _number(self.confusion.accuracy()),
            "per_class": {
                name: {"dice": _number(dice), "iou": _number(iou)}
                for name, dice, iou in zip(
                    self.classes,
                    self.confusion.dice().tolist(),
                    self.confusion.iou().tolist(),
                    strict=True,
                )
            },
        }

    def __str__(self) -> str:
        """A table for people."""
        scores = self.to_dict()
        width = max(5, *(len(name) for name in self.classes))
        rows = [
            f"  {name:<{width}}  {_shown(row['dice'])}  {_shown(row['iou'])}"
            for name, row in scores["per_class"].items()
        ]
        mean = "foreground" if len(self.classes) == 2 else "mean over classes"
        return "\n".join([
            f"{self.split}: {self.images} images at their own size, pixels counted over all",
            f"  {'class':<{width}}    Dice     IoU",
            *rows,
            f"  Dice {self.dice:.4f}, mean IoU {self.mean_iou:.4f} ({mean}), "
            f"pixel accuracy {self.confusion.accuracy():.4f}",
        ])  # fmt: skip


def evaluate(
    segmenter: Segmenter,
    pairs: Sequence[Pair],
    split: str = "valid",  # what the pairs are, for the report
    progress: bool = True,  # a bar where there is a terminal
) -> Evaluation:
    """Predict every image as a user would and compare with its mask, both at their own size.

    One image at a time, so that memory does not grow with their number.
    """
    confusion = Confusion()
    for pair in tqdm(pairs, f"Evaluating {split}", leave=False, disable=None if progress else True):
        image, truth = read_pair(pair, segmenter.codec)
        predicted = segmenter.predict(image)
        confusion.update(
            torch.from_numpy(predicted).long(),
            torch.from_numpy(truth).long(),
            len(segmenter.classes),
        )
    return Evaluation(split, len(pairs), segmenter.classes, confusion)


def _number(value: float) -> float | None:
    return None if value != value else round(value, 6)  # JSON has no nan


def _shown(value: float | None) -> str:
    return "absent" if value is None else f"{value:.4f}"
