"""Which file names are images, and which are junk that other programs leave behind."""

EXTENSIONS = {
    *(".png", ".jpg", ".jpeg", ".jfif", ".jp2", ".tif", ".tiff", ".bmp", ".gif", ".webp"),
    *(".pgm", ".ppm", ".pbm", ".pnm", ".npy"),
}


_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}  # left behind by unpackers and file managers


def is_junk(name: str) -> bool:
    """Hidden files and folders, and what other programs leave behind."""
    return name.startswith(".") or name.lower() in _JUNK


def is_image(name: str) -> bool:
    return name[name.rfind(".") :].lower() in EXTENSIONS and "." in name
