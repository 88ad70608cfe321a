"""What a prediction scores: counts on the device, pure scores of counts, boundaries, calibration.

Light to import: a module is loaded when one of its names is first used. Only `learner`,
`foreign` and `adapter` need fastai; `boundary` needs SciPy.
"""

from importlib import import_module

# public name -> the module that holds it
_PUBLIC = {
    "Confusion": "confusion",
    "dice": "scores",
    "iou": "scores",
    "precision": "scores",
    "recall": "scores",
    "specificity": "scores",
    "mean_score": "scores",
    "hausdorff95": "boundary",
    "surface_dice": "boundary",
    "boundary_iou": "boundary",
    "Calibration": "calibration",
    "ThresholdCurve": "threshold",
    "ObjectCounts": "objects",
    "count_objects": "objects",
    "DiceScore": "learner",
    "MeanIoU": "learner",
    "PixelAccuracy": "learner",
    "PixelPrecision": "learner",
    "PixelRecall": "learner",
    "PixelSpecificity": "learner",
    "ClassIoU": "learner",
    "default_metrics": "learner",
    "class_metrics": "learner",
    "LossTerm": "learner",
    "loss_terms": "learner",
    "adapt_metrics": "adapter",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
