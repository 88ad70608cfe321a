"""Losses on logits and class indices, with void left out.

Every loss takes (B, C, H, W) logits and (B, H, W) class indices, and serves fastai's Learner as it
is. All names end in `Loss`; `Pixel` and `Soft` leave `CrossEntropyLoss` to torch, and `FocalLoss`
and `DiceLoss` to fastai.
"""

from fastunet.losses.adapt_loss import AdaptedLoss as AdaptedLoss
from fastunet.losses.adapt_loss import adapt_loss as adapt_loss
from fastunet.losses.base import Batch as Batch
from fastunet.losses.base import Reduction as Reduction
from fastunet.losses.base import SegmentationLoss as SegmentationLoss
from fastunet.losses.boundary_loss import BoundaryLoss as BoundaryLoss
from fastunet.losses.class_weights import class_weights as class_weights
from fastunet.losses.combined import CombinedLoss as CombinedLoss
from fastunet.losses.lovasz import LovaszLoss as LovaszLoss
from fastunet.losses.pixel import PixelCrossEntropyLoss as PixelCrossEntropyLoss
from fastunet.losses.pixel import PixelFocalLoss as PixelFocalLoss
from fastunet.losses.pixel import TopKLoss as TopKLoss
from fastunet.losses.region import FocalTverskyLoss as FocalTverskyLoss
from fastunet.losses.region import GeneralisedDiceLoss as GeneralisedDiceLoss
from fastunet.losses.region import SoftDiceLoss as SoftDiceLoss
from fastunet.losses.region import TverskyLoss as TverskyLoss
