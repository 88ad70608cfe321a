"""Image files in, mask files out: which files are images, where masks are written, what failed."""

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from fastunet._util.files import make_folder, write_atomically
from fastunet._util.outputs import Output
from fastunet._util.system_errors import explain, is_lack_of_memory
from fastunet._util.text import listing
from fastunet.errors import FastunetError, ImageReadError, OptionError, OutputError
from fastunet.inference.segmenter import Segmenter
from fastunet.io.channel_files import ChannelFiles, channel_sets
from fastunet.io.extensions import is_image, is_junk
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec

Values = Literal["index", "original"]  # class indices, or what the masks of the training set hold

_BROKEN = "it is a link to a file that does not exist."
_NO_FILE = "it is not a file but a pipe, a socket or a device."


@dataclass(frozen=True)
class ImageFiles:
    """One image: its file, or the files of its channels."""

    name: str  # that its mask gets, without the suffix
    files: tuple[Path, ...]

    def __str__(self) -> str:
        return str(self.files[0])


@dataclass(frozen=True)
class Failure:
    """An image without a mask, and why."""

    file: Path
    reason: str

    def __str__(self) -> str:
        return self.reason if str(self.file) in self.reason else f"{self.file}: {self.reason}"


# --- which images ---------------------------------------------------------------------------------


def find_files(
    paths: Sequence[Path],  # image files, or folders of them
) -> tuple[list[Path], list[Failure]]:  # files to be read, and what is named but is no file
    """The images that are named. Of folders, hidden files and sub-folders are left out.

    Raises `ImageReadError` where a path does not exist, and where there is nothing to predict.
    """
    files: dict[str, Path] = {}
    failures: list[Failure] = []
    empty: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = _images_in(path)
            files |= {os.path.abspath(file): file for file in inside}  # noqa: PTH100 - links stay
            if not inside:
                empty.append(path)
        elif path.is_file():
            files.setdefault(os.path.abspath(path), path)  # noqa: PTH100
        elif os.path.lexists(path):
            failures.append(Failure(path, _BROKEN if path.is_symlink() else _NO_FILE))
        else:
            raise ImageReadError(f"{path} does not exist.")
    failures += [Failure(folder, _no_images(folder)) for folder in empty]
    if empty and not files:
        raise ImageReadError(" ".join(map(str, failures)))
    return list(files.values()), failures


def _images_in(folder: Path) -> list[Path]:
    """The images in a folder itself. A broken link is one too: its failure is reported."""
    named = [file for file in folder.iterdir() if is_image(file.name) and not is_junk(file.name)]
    return sorted(file for file in named if file.is_file() or not file.exists())


def _no_images(folder: Path) -> str:
    below = [entry for entry in sorted(folder.iterdir()) if not is_junk(entry.name)]
    with_images = [entry for entry in below if entry.is_dir() and _images_in(entry)]
    if not with_images:
        return f"{folder} holds no images."
    named = " ".join(map(str, with_images[:3])) + (" ..." if len(with_images) > 3 else "")
    found = f"{folder} holds no images itself, but sub-folders do ({listing(with_images, 3)})"
    return f"{found}. Name them instead: {named}"


def group_files(
    files: Sequence[Path],
    channel_files: int = 1,  # that make one image, x_0000, x_0001, ...
) -> tuple[list[ImageFiles], list[Failure]]:
    """The images that files make: each one, or sets of channels where that is known of them."""
    if channel_files == 1:
        return [ImageFiles(file.stem, (file,)) for file in files], []
    images, failures = [], []
    for name, members in channel_sets(files):
        if len(members) == channel_files:
            images.append(ImageFiles(name, members))
        else:
            several = f" of {len(members)} files" if len(members) > 1 else " file"
            reason = (
                f"this image is one{several}; images of {channel_files} channel files were "
                f"expected, named like {name}_0000.png ... {name}_{channel_files - 1:04d}.png."
            )
            failures.append(Failure(members[0], reason))
    return images, failures


# --- what is written ------------------------------------------------------------------------------


def planned_outputs(images: Sequence[ImageFiles], out: Path, overlay: bool = False) -> list[Output]:
    """All files that `predict_files` writes."""
    kinds = {"": "mask", "_overlay": "overlay"} if overlay else {"": "mask"}
    return [
        Output(out / f"{image.name}{ending}.png", f"the {kind} of {image}")
        for ending, kind in kinds.items()
        for image in images
    ]


def predict_files(
    segmenter: Segmenter,
    images: Sequence[ImageFiles],
    out: Path,  # the folder of masks
    overlay: bool = False,  # also write pictures with the classes in colour
    values: Values = "index",
) -> Iterator[Failure | None]:  # one for each image, None where it has its mask
    """Segment and write one image after the other; one that cannot be read does not end it.

    Raises `MaskValueError` where the encoding of the training set cannot be written, and
    `OutputError` where a mask cannot be.
    """
    encode_mask(np.zeros((1, 1), np.uint8), segmenter.codec, values)  # can it be written at all?
    for image in images:
        try:
            _predict_one(segmenter, image, out, overlay, values)
        except OutputError:
            raise
        except FastunetError as error:
            yield Failure(image.files[0], str(error))
        except Exception as error:
            if not is_lack_of_memory(error):
                raise
            yield Failure(image.files[0], explain(error) or str(error))
        else:
            yield None


def _predict_one(
    segmenter: Segmenter, image: ImageFiles, out: Path, overlay: bool, values: Values
) -> None:
    source = ChannelFiles(image.files)
    mask = segmenter.classify(segmenter.probabilities(source))
    make_folder(out)
    write_atomically(out / f"{image.name}.png", encode_mask(mask, segmenter.codec, values))
    if overlay:
        import cv2

        from fastunet.overlay import overlay as draw

        picture = draw(segmenter.preprocess.prepare(source), mask, segmenter.codec)
        png = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
        write_atomically(out / f"{image.name}_overlay.png", png)


def encode_mask(
    indices: np.ndarray,  # (H, W) uint8 class indices
    codec: MaskCodec,
    values: Values = "index",
) -> bytes:
    """A PNG. Class indices are those of a palette in the classes' colours, in which void is white.

    "original" is the encoding of the data that the codec was made for; raises `MaskValueError`
    where that cannot be written.
    """
    from PIL import Image

    if values not in get_args(Values):
        raise OptionError(f"values={values!r}; one of {get_args(Values)} was expected.")
    array = indices if values == "index" else codec.to_original(indices)
    positions: Sequence[int] = range(len(codec.classes))
    has_palette = values == "index" or codec.encoding == "palette indices"
    if values == "original" and codec.encoding == "palette indices":
        positions = codec.codes
    elif codec.encoding == "palette" and array.shape[-1] == 3:
        array, has_palette = indices, True
    picture = Image.fromarray(array)
    if has_palette:
        colours = np.zeros((256, 3), np.uint8)
        colours[VOID] = 255
        colours[list(positions)] = codec.colours
        picture.putpalette(colours.tobytes())
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()


def legend(codec: MaskCodec, values: Values = "index") -> str:
    """`0 = background, 1 = foreground`: what the pixels of a written mask mean."""
    shown: Sequence[int | str] = range(len(codec.classes))
    if values == "original":
        shown = [codec.kind.format(code) for code in codec.codes]
    return ", ".join(f"{value} = {name}" for value, name in zip(shown, codec.classes, strict=True))
