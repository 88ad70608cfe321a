"""Which file names are images, and which are junk that other programs leave behind."""

JPEG = (".jpg", ".jpeg", ".jfif")
TIFF = (".tif", ".tiff")
EXTENSIONS = {
    *(*JPEG, *TIFF, ".png", ".jp2", ".bmp", ".gif", ".webp"),
    *(".pgm", ".ppm", ".pbm", ".pnm", ".npy"),
}

_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}  # left behind by unpackers and file managers


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or left behind by another program."""
    return name.startswith(".") or name.lower() in _JUNK


def is_image(name: str) -> bool:
    """Whether a file name has the extension of an image."""
    return name[name.rfind(".") :].lower() in EXTENSIONS and "." in name
