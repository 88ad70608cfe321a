"""The files that a command reads, for the promise that it never writes over them."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from fastunet.errors import PairingError
from fastunet.plan import FileOptions


def data_files(
    files: FileOptions,  # of a data set
) -> Iterator[Path]:
    """Every file that reading a data set may open; looked for only when the first is asked for."""
    from fastunet.pairs.find import find_pairs
    from fastunet.pairs.matching import list_files

    if files.data.is_file():
        yield files.data
    wanted: Callable[[str], bool] = _is_table
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the command itself warns
            pairs = find_pairs(*files.words)
        for pair in pairs:
            yield from (*pair.image_files, pair.mask)
        yield from (*pairs.unpaired_images, *pairs.unpaired_masks)
    except PairingError:
        wanted = bool  # which files matter is not known: all of them do
    inner_folders = [files.data / one for one in (files.images, files.masks) if one]
    for folder in {files.data, *inner_folders}:
        if folder.is_dir():
            for inner, names in list_files(folder, wanted).items():
                yield from (Path(folder, inner, name) for name in names)


def _is_table(name: str) -> bool:
    """Annotations and tables, which layouts read beside images."""
    return name.lower().endswith((".json", ".xml", ".txt", ".csv", ".tsv", ".yaml", ".yml"))


def bundle_files(
    bundle: Path,  # a folder, or the JSON in it
) -> Iterator[Path]:
    """The files of a bundle, and what a run folder says of the split."""
    folder = bundle if bundle.is_dir() else bundle.parent
    if folder.is_dir():
        yield from (file for file in folder.iterdir() if file.suffix in (".json", ".safetensors"))
