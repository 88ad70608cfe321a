"""fastunet: a folder of images and masks becomes a trained U-Net in a few lines.

Light to import: PyTorch is loaded when a name that needs it is first used.
`from fastunet.all import *` gives fastai.vision's names and fastunet's.
"""

from importlib import import_module
from importlib.metadata import version

__version__ = version("fastunet")

# public name -> the module that holds it
_PUBLIC = {
    "FastunetError": "fastunet.errors",
    "Pair": "fastunet.data.pairs",
    "ChannelFiles": "fastunet.data.matching",
    "find_pairs": "fastunet.data.pairs",
    "split_as_stated": "fastunet.data.stated_split",
    "split_by_list": "fastunet.data.stated_split",
    "split_pairs": "fastunet.data.split",
    "k_fold": "fastunet.data.split",
    "save_split": "fastunet.data.split",
    "load_split": "fastunet.data.split",
    "propose_groups": "fastunet.data.groups",
    "pairs_from_table": "fastunet.data.tables",
    "MaskCodec": "fastunet.data.masks",
    "Preprocess": "fastunet.preprocess",
    "Albumentations": "fastunet.data.augment",
    "Augment": "fastunet.data.augment",
    "PairReader": "fastunet.data.reader",
    "PairImageBlock": "fastunet.data.block",
    "PairMaskBlock": "fastunet.data.block",
    "ImageMaskDataLoaders": "fastunet.data.block",
    "Audit": "fastunet.data.audit",
    "audit": "fastunet.data.audit",
    "UNet": "fastunet.models.unet",
    "trace_shapes": "fastunet.models.trace",
    "TimmUNet": "fastunet.models.timm_unet",
    "available_encoders": "fastunet.models.encoders",
    "SegmentationLoss": "fastunet.losses",
    "CombinedLoss": "fastunet.losses",
    "PixelCrossEntropyLoss": "fastunet.losses",
    "PixelFocalLoss": "fastunet.losses",
    "TopKLoss": "fastunet.losses",
    "SoftDiceLoss": "fastunet.losses",
    "GeneralisedDiceLoss": "fastunet.losses",
    "TverskyLoss": "fastunet.losses",
    "FocalTverskyLoss": "fastunet.losses",
    "LovaszLoss": "fastunet.losses",
    "BoundaryLoss": "fastunet.losses",
    "class_weights": "fastunet.losses",
    "DiceScore": "fastunet.metrics",
    "MeanIoU": "fastunet.metrics",
    "PixelAccuracy": "fastunet.metrics",
    "PixelPrecision": "fastunet.metrics",
    "PixelRecall": "fastunet.metrics",
    "PixelSpecificity": "fastunet.metrics",
    "ClassIoU": "fastunet.metrics",
    "class_metrics": "fastunet.metrics",
    "AutoPrecision": "fastunet.callback.precision",
    "SaveBestModel": "fastunet.callback.checkpoint",
    "SegmentationLearner": "fastunet.learner",
    "segmentation_learner": "fastunet.learner",
    "Segmenter": "fastunet.inference",
    "evaluate": "fastunet.report.evaluation",
    "best_threshold": "fastunet.report.evaluation",
    "Evaluation": "fastunet.report.result",
    "compare": "fastunet.report.compare",
}

__all__ = ["__version__", "samples", *_PUBLIC]


def __getattr__(name: str):
    if name == "samples":
        return import_module("fastunet.data.samples")
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'fastunet' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
