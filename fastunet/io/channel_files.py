"""Files whose channels make one image: given by the user, or numbered as nnU-Net does."""

import os
import re
from collections.abc import Iterable
from pathlib import Path


class ChannelFiles(tuple[Path, ...]):
    """The file, or the files whose channels are stacked in this order, that make one image."""

    __slots__ = ()

    def __new__(cls, files: Iterable[str | os.PathLike]):
        """Of one path or several."""
        return super().__new__(cls, map(Path, files))


_CHANNEL = re.compile(r"_\d{4}$")


def channel_sets(
    files: Iterable[Path],
) -> list[tuple[str, tuple[Path, ...]]]:  # the name and the files of each image
    """Files that are one image: `x_0000` with `x_0001`, ... as nnU-Net names channels; else alone.

    Only for data of which it is known that they are such sets: frames of a video have such names
    too.
    """
    files = list(files)
    firsts = {(f.parent, f.stem[:-5]) for f in files if f.stem.endswith("_0000")}
    sets: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        whole = (file.parent, file.stem[:-5])
        numbered = whole in firsts and _CHANNEL.search(file.stem)
        sets.setdefault(whole if numbered else (file, file.stem), []).append(file)
    return [(name, tuple(sorted(members))) for (_, name), members in sets.items()]
