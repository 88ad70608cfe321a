"""Public data sets, fetched once by the libraries that know them into the user's cache folder.

Each function returns a folder that `find_pairs` reads. Sizes and checksums are those of fastai and
torchvision. A data set that was put there by hand is found and nothing is fetched.
"""

import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

from fastunet._util.cache_folder import cache_folder
from fastunet._util.folders import rename_unless_there
from fastunet.errors import DownloadError

_UNREACHED = (URLError, ConnectionError, TimeoutError, HTTPException)
_DAMAGED = (RuntimeError, tarfile.TarError, shutil.ReadError, EOFError, zlib.error)

Cache = str | os.PathLike | None  # None: the user's cache folder


def camvid(cache: Cache = None) -> Path:
    """CamVid as fastai gives it out: 701 street scenes, 32 classes named in `codes.txt`. 600 MB.

    Brostow, Fauqueur, Cipolla, "Semantic Object Classes in Video", 2009.
    """
    return _from_fastai("CAMVID", "camvid", cache)


def camvid_tiny(cache: Cache = None) -> Path:
    """100 small pictures of CamVid, to see whether everything works. 2 MB."""
    return _from_fastai("CAMVID_TINY", "camvid_tiny", cache)


def oxford_pets(cache: Cache = None) -> Path:
    """Oxford-IIIT Pet: 7,390 cats and dogs with trimaps (pet, background, border). 800 MB.

    Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs", CVPR 2012.
    """
    from torchvision.datasets import OxfordIIITPet

    def fetch(folder: Path) -> Path:
        made = folder / "oxford-iiit-pet"
        for part in ("images", "annotations"):  # half unpacked, they would be taken for whole
            shutil.rmtree(made / part, ignore_errors=True)
        OxfordIIITPet(folder, target_types="segmentation", download=True)
        for archive in made.glob("*.tar.gz"):
            archive.unlink()
        return made

    url = OxfordIIITPet._RESOURCES[0][0]
    return _fetched("oxford-iiit-pet", url, "images/ and annotations/trimaps/", fetch, cache)


def voc2012(cache: Cache = None) -> Path:
    """Pascal VOC 2012: 2,913 photos with masks of 20 classes, a void border, a split. 2 GB.

    Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", IJCV 2015.
    """
    from torchvision.datasets import VOCSegmentation, voc

    def fetch(folder: Path) -> Path:
        VOCSegmentation(folder, year="2012", image_set="train", download=True)
        return folder / "VOCdevkit" / "VOC2012"

    url = voc.DATASET_YEAR_DICT["2012"]["url"]
    return _fetched("VOC2012", url, "JPEGImages/ and SegmentationClass/", fetch, cache)


def carvana(cache: Cache = None) -> Path:
    """Carvana: 5,088 photos of 318 cars, 16 views each. Fetched by hand, as it needs an account."""
    folder = _place("carvana", cache)
    if not folder.is_dir():
        raise DownloadError(
            "Carvana is given out to Kaggle accounts only: accept the rules at "
            "https://www.kaggle.com/c/carvana-image-masking-challenge, download train.zip and "
            f"train_masks.zip, and unpack both so that {folder} holds train/ and train_masks/."
        )
    return folder


def _place(name: str, cache: Cache) -> Path:
    return (Path(cache) if cache is not None else cache_folder()) / "public" / name


def _from_fastai(key: str, name: str, cache: Cache) -> Path:
    from fastai.data.external import URLs, untar_data

    url = getattr(URLs, key)

    def fetch(folder: Path) -> Path:
        try:  # `base` keeps fastai's own settings as they are
            return untar_data(url, archive=folder, data=folder / "unpacked", base=str(folder))
        except Exception as error:
            if type(error) is not Exception:
                raise
            raise RuntimeError(str(error)) from error  # a wrong checksum is a bare Exception

    return _fetched(name, url, "images/, labels/ and codes.txt", fetch, cache)


def _fetched(
    name: str,
    url: str,  # where it comes from, for the message
    holds: str,  # what the folder should hold, for the message
    fetch: Callable[[Path], Path],  # fetches into a folder; returns the data set's own within it
    cache: Cache,
) -> Path:
    """The data set's folder; fetched into one beside it and renamed when it is complete.

    What was downloaded of a fetch that broke off is kept, for the libraries to check and go on.
    """
    folder = _place(name, cache)
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        made = fetch(partial)
    except (*_UNREACHED, *_DAMAGED, OSError) as error:
        what, remedy = f"could not be kept in {partial}", "Make room or choose another cache=."
        if isinstance(error, _UNREACHED):
            what, remedy = "could not be reached", "Try again with a network."
        elif isinstance(error, _DAMAGED):
            shutil.rmtree(partial)
            what, remedy = "came damaged", "Try again."
        said = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        raise DownloadError(
            f"{url} {what} ({said}). {remedy} Or unpack it by hand so that {folder} holds {holds}."
        ) from error
    rename_unless_there(made, folder)
    shutil.rmtree(partial, ignore_errors=True)
    return folder
