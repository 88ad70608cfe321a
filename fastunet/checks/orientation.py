"""Which pixels of a turned photo its mask fits: upright by its EXIF orientation, or as stored.

The sizes tell where a photo lies on its side and is not square. Where they do not, the borders of
the mask are looked for among the edges of both.
"""

from collections.abc import Sequence
from functools import partial

from fastunet._util.text import listing
from fastunet._util.threads import in_threads
from fastunet._util.warn import warn
from fastunet.choices import Orientation
from fastunet.errors import PairingError
from fastunet.scan.agreement import Agreement, better, compare
from fastunet.scan.decoded import NOTHING_KEPT, DecodedFiles
from fastunet.scan.pair_stats import PairStats

_PHOTOS = 64  # whose pixels are compared

ANSWERS = (
    'orientation="upright" if the masks were drawn on the photos as viewers show them, '
    'orientation="stored" if on their pixels without regard to EXIF'
)


def by_size(stats: Sequence[PairStats]) -> Orientation | None:
    """What the sizes of the photos say that lie on their side; None: nothing, or both."""
    told = {one.fits for one in stats if one.turn != 1 and not one.undecided and one.fits != "no"}
    return told.pop() if len(told) == 1 else None


def choose_orientation(
    stats: Sequence[PairStats],  # of the headers of all pairs
    stated: Orientation | None = None,
    progress: bool = True,
    files: DecodedFiles = NOTHING_KEPT,
) -> Orientation:
    """How turned photos enter the network where their size fits both ways.

    Raises `PairingError` where the contents tell that the pixels as stored fit, and nobody has said
    so. Warns where nothing tells.
    """
    if stated is not None:
        return stated
    sizes = by_size(stats)
    undecided = [one for one in stats if one.undecided]
    if not undecided:
        return sizes or "upright"
    looked = undecided[:: -(-len(undecided) // _PHOTOS)]
    contents = better(
        list(in_threads(partial(_look, files=files), looked, "Comparing orientations", progress))
    )
    if contents and contents != (sizes or "upright"):
        raise PairingError(f"{tell(undecided)} {fit(contents)} Say which is right: {ANSWERS}.")
    if not contents and not sizes:
        warn(
            f"{tell(undecided)} Nor do their contents. They are read upright; say so, or the "
            f"other: {ANSWERS}."
        )
    return sizes or "upright"


def tell(undecided: Sequence[PairStats]) -> str:
    """That the sizes of some photos do not say how they are turned."""
    names = listing([one.pair.image.name for one in undecided], 3)
    return (
        f"{len(undecided)} of the photos have an EXIF orientation of which the sizes do not tell "
        f"whether masks follow it (the photos are square, upside down or mirrored): {names}."
    )


def fit(orientation: Orientation) -> str:
    """That the contents of the masks fit one orientation."""
    how = "upright" if orientation == "upright" else "with the pixels as stored"
    return f"By their edges, the masks fit the photos {how}."


def _look(stats: PairStats, files: DecodedFiles) -> Agreement:
    if stats.agreement is not None:
        return stats.agreement
    pair = stats.pair
    return compare(files.image(pair.image_files), files.mask(pair.mask).codes, stats.turn)
