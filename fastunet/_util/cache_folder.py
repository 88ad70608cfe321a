"""The folder in which fastunet keeps what it can make again."""

import os
from pathlib import Path

from fastunet.errors import OutputError


def cache_folder() -> Path:
    """The user's cache folder; `FASTUNET_CACHE` names another. All in it can be made again.

    Raises `OutputError` where the user has no home folder.
    """
    from platformdirs import user_cache_dir

    if named := os.environ.get("FASTUNET_CACHE"):
        return Path(named)
    try:
        folder = Path(user_cache_dir("fastunet", appauthor=False))
    except RuntimeError:  # of platformdirs; its older versions leave a "~" that is no folder
        folder = Path("~")
    if not folder.is_absolute():
        raise OutputError(
            "There is no home folder to keep files in that can be made again. Name a folder for "
            "them in the environment variable FASTUNET_CACHE."
        )
    return folder
