"""The check of whether masks keep what is thin or small at the network's size."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastunet.checks.check import CheckContext, check
from fastunet.checks.finding import Finding
from fastunet.errors import MaskValueError

if TYPE_CHECKING:
    from fastunet.checks.resolution import Resolution


def measure_detail(
    context: CheckContext,  # with a codec
    size: int | tuple[int, int] | None,  # the network's input; None: as a run in a terminal
    patch: int | tuple[int, int] | None,  # instead: patches of this size
    scale: float,  # of the images' own resolution, at which patches are cut
    progress: bool,
) -> "Resolution":
    """What is left at this size of the masks that can be read."""
    from fastunet.checks.resolution import default_side, measure_resolution
    from fastunet.preprocess import Policy, Preprocess

    seen = patch or size or default_side()
    height, width = (seen, seen) if isinstance(seen, int) else seen
    policy: Policy = "patch" if patch else "resize"
    preprocess = Preprocess((height, width), policy=policy, scale=scale)
    codec = context.known_codec

    def read(path: Path) -> np.ndarray | None:
        try:
            return context.files.class_indices(path, codec)
        except MaskValueError:  # its values are a finding of their own
            return None

    paths = [f.pair.mask for f in context.stats if f.mask and not f.mask.is_image]
    return measure_resolution(paths, read, codec.classes, preprocess, progress)


@check(needs="codec")
def check_resolution(context: CheckContext) -> Iterator[Finding]:
    """Classes of which the network's size leaves too little."""
    resolution = context.resolution
    if resolution and resolution.lost:
        gone = {path for i in resolution.lost for path in resolution.vanished[i]}
        said, advice, n = resolution.message, resolution.advice, len(resolution.lost)
        yield Finding("warning", "resolution-loss", said, advice, context.names(sorted(gone)), n)
