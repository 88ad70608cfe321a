"""Losses on logits and class indices, with void left out.

Every loss takes (B, C, H, W) logits and (B, H, W) class indices, and serves fastai's Learner as it
is. All names end in `Loss`; `Pixel` and `Soft` leave `CrossEntropyLoss` to torch, and `FocalLoss`
and `DiceLoss` to fastai.
"""

from fastunet.losses.adapt_loss import AdaptedLoss, adapt_loss
from fastunet.losses.base import Batch, Reduction, SegmentationLoss
from fastunet.losses.boundary_loss import BoundaryLoss
from fastunet.losses.class_weights import class_weights
from fastunet.losses.combined import CombinedLoss
from fastunet.losses.lovasz import LovaszLoss
from fastunet.losses.pixel import PixelCrossEntropyLoss, PixelFocalLoss, TopKLoss
from fastunet.losses.region import FocalTverskyLoss, GeneralisedDiceLoss, SoftDiceLoss, TverskyLoss

__all__ = [
    "AdaptedLoss",
    "Batch",
    "BoundaryLoss",
    "CombinedLoss",
    "FocalTverskyLoss",
    "GeneralisedDiceLoss",
    "LovaszLoss",
    "PixelCrossEntropyLoss",
    "PixelFocalLoss",
    "Reduction",
    "SegmentationLoss",
    "SoftDiceLoss",
    "TopKLoss",
    "TverskyLoss",
    "adapt_loss",
    "class_weights",
]
