"""Files that fastunet writes: whole or not at all, and where those that can be made again lie."""

import os
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside, flush to disk, rename: a reader sees the old file or the new, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def cache_folder() -> Path:
    """The user's cache folder; `FASTUNET_CACHE` names another. All in it can be made again."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("FASTUNET_CACHE") or user_cache_dir("fastunet", appauthor=False))
