"""The words that options may be. Light to import, for the plan and for those who act on it."""

from typing import Literal

Cache = Literal["auto", "ram", "disk"]
"""Where decoded pixels are kept: in memory, in the user's cache folder, or whichever has room."""

Loss = Literal[
    "combined", "ce", "dice", "focal", "topk", "tversky", "focal_tversky", "lovasz", "boundary"
]
"""What is minimised: "combined" is cross-entropy plus soft Dice; the others are of `LOSSES`."""

OptimizerName = Literal["adamw", "cautious"]
"""What makes steps of gradients: AdamW, or AdamW that is cautious; see `fastunet.optimizer`."""

Orientation = Literal["upright", "stored"]
"""Whether masks lie on photos as viewers show them, or on their pixels as they are stored."""

Precision = Literal["auto", "bf16", "fp16", "fp32"]
"""The number format of a network at work; "auto" is what is fast on the device."""

Preset = Literal["none", "light", "scene", "free"]
"""Augmentation by the kind of pictures; see `Augment`."""

Scaling = Literal["auto", "dtype", "percentile"]
"""What is full brightness in images of several types or ranges; see `Preprocess.infer`."""

TrackingService = Literal["tensorboard", "wandb", "mlflow"]
"""Where a training is reported to; see `Tracker`."""

MOST_FOLDS = 20
"""Parts of a cross-validation, at most."""

Unknown = Literal["error", "void"]
"""What becomes of mask values that are not among the classes."""
