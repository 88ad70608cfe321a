"""Whether the masks keep what is thin or small at the size at which a network sees them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastunet.checks.finding import Finding, Material
from fastunet.errors import MaskValueError

if TYPE_CHECKING:
    from fastunet.checks.resolution import Resolution


def measure(
    material: Material,  # with a codec
    size: int | tuple[int, int] | None,  # the network's input; None: as a run in a terminal
    patch: int | tuple[int, int] | None,  # instead: patches of this size
    scale: float,  # of the images' own resolution, at which patches are cut
    progress: bool,
) -> "Resolution":
    """What is left at this size of the masks that can be read."""
    from fastunet.checks.resolution import default_side, measure_resolution
    from fastunet.preprocess import Preprocess

    seen = patch or size or default_side()
    sides = (seen, seen) if isinstance(seen, int) else tuple(seen)
    preprocess = Preprocess(sides, policy="patch" if patch else "resize", scale=scale)
    codec = material.codec

    def read(path: Path) -> np.ndarray | None:
        try:
            return codec.read(path)
        except MaskValueError:  # its values are a finding of their own
            return None

    paths = [f.pair.mask for f in material.facts if f.mask and not f.mask.is_image]
    return measure_resolution(paths, read, codec.classes, preprocess, progress)


def check_resolution(material: Material, resolution: "Resolution") -> Iterator[Finding]:
    """Classes of which the network's size leaves too little."""
    if resolution.lost:
        gone = {path for i in resolution.lost for path in resolution.vanished[i]}
        yield material.find(
            "warning", "resolution-loss", resolution.message, resolution.advice, sorted(gone),
            len(resolution.lost),
        )  # fmt: skip
