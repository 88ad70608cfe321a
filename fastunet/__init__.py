"""fastunet: a folder of images and masks becomes a trained U-Net in a few lines.

Light to import: PyTorch is loaded when a name that needs it is first used.
`from fastunet.all import *` gives fastai.vision's names and fastunet's.
"""

from importlib import import_module
from importlib.metadata import distributions, version
from importlib.util import find_spec

__version__ = version("fastunet")


def _check_opencv() -> None:
    """Raise `ImportError` where cv2 is missing or an empty folder, which Python imports too.

    opencv-python, opencv-contrib-python and their headless kin write into one folder, so that one
    that is uninstalled takes the files of another with it.
    """
    spec = find_spec("cv2")
    if spec is not None and spec.origin is not None:
        return
    names = {(one.metadata["Name"] or "").lower() for one in distributions()}
    there = sorted(name for name in names if name.startswith("opencv-"))
    found = "its folder cv2 is empty" if spec is not None else "there is no cv2"
    because = f", although {', '.join(there)} is installed" if there else ""
    raise ImportError(
        f"OpenCV cannot be used: {found}{because}. That happens when one of opencv-python, "
        "opencv-contrib-python and opencv-python-headless is uninstalled beside another, since all "
        "of them write into that folder. Install one again: pip install --force-reinstall "
        f"--no-deps {there[0] if there else 'opencv-python-headless'}"
    )


_check_opencv()

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
