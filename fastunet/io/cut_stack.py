"""A stack of slices in one TIFF, cut into a file for each slice.

python -m fastunet.io.cut_stack train-volume.tif cut/images
"""

import os
import sys
from pathlib import Path

import cv2
import numpy as np

from fastunet._util.files import write_atomically
from fastunet.errors import FastunetError, ImageReadError
from fastunet.io.images import read_image


def cut_stack(
    path: str | os.PathLike,  # a TIFF with several pages of one size
    folder: str | os.PathLike,  # is made; slices are called 000, 001, ...
) -> list[Path]:
    """Write each page as a PNG of its own; as .npy where it has no 8 or 16 bits.

    Raises `ImageReadError` where the file cannot be read, has a single page, or the folder exists.
    """
    stack, folder = read_image(path), Path(folder)
    slices = stack.shape[2]
    if slices < 2:
        raise ImageReadError(f"{path} holds one picture; there is nothing to cut.")
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ImageReadError(f"{folder} exists already; name a folder to be made.") from None
    except OSError as error:
        raise ImageReadError(f"{folder} cannot be made ({error.strerror}).") from error
    digits = max(3, len(str(slices - 1)))
    written = []
    for number in range(slices):
        page = np.ascontiguousarray(stack[..., number])
        file = folder / f"{number:0{digits}d}.png"
        if page.dtype in (np.uint8, np.uint16):
            write_atomically(file, cv2.imencode(".png", page)[1].tobytes())
        else:
            file = file.with_suffix(".npy")
            np.save(file, page)
        written.append(file)
    return written


def main() -> None:
    """`cut_stack` as a command."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m fastunet.io.cut_stack STACK.tif FOLDER")
    try:
        written = cut_stack(*sys.argv[1:])
    except FastunetError as error:
        sys.exit(f"fastunet: error: {error}")
    print(f"{len(written)} slices in {sys.argv[2]}/")


if __name__ == "__main__":
    main()
