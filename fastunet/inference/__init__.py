"""Trained models at work: masks at the image's own size, from bundles that hold no code.

Needs PyTorch, numpy, OpenCV and safetensors; fastai is not imported.
"""

from fastunet.inference.segmenter import Segmenter

__all__ = ["Segmenter"]
