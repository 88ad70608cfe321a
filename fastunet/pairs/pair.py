"""An image file and its mask file, and the list of all pairs of a data set."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fastunet.io.channel_files import ChannelFiles

Split = Literal["", "train", "valid", "test"]


@dataclass(frozen=True, slots=True)
class Pair:
    """An image file and its mask file."""

    image: Path
    mask: Path
    split: Split = ""  # its part, in whatever list it stands; "" where nothing has decided that
    group: str = ""  # what must stay in one part: views of a car, frames of a video
    channels: tuple[Path, ...] = ()  # files whose channels are stacked behind the image's

    @property
    def image_files(self) -> ChannelFiles:
        """The file or files that make the image."""
        return ChannelFiles((self.image, *self.channels))


@dataclass(frozen=True)
class PairList(Sequence[Pair]):
    """The pairs of a data set, in the order of their names, with what was left over."""

    pairs: list[Pair]
    layout: str  # how the folder was read, for example "images + masks"
    unpaired_images: list[Path] = field(default_factory=list)
    unpaired_masks: list[Path] = field(default_factory=list)
    classes: Sequence[str] | Mapping[str, int | str] | None = None  # where the layout states them
    void: tuple[int | str, ...] = ()  # mask values or colours that the layout leaves out

    def __getitem__(self, index):
        return self.pairs[index]

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def splits(self) -> dict[str, int]:
        """How many pairs each split holds."""
        return dict(Counter(pair.split for pair in self.pairs))
