"""Checks of files: whether they open, and whether a mask has the size of its image."""

from collections.abc import Iterator

from fastunet._util.text import plural
from fastunet.checks.check import CheckContext, check
from fastunet.checks.finding import Finding

_LISTED = 5  # sizes that a message names

_COPY = "Copy them again from their source, or take image and mask out of the folders."
_SAVE = "Save them again, or take image and mask out of the folders."
_FAULTS = {  # kind: (one file, several, why, what to do)
    "empty-file": ("file holds", "files hold", "no bytes: {files}.", _COPY),
    "truncated": (
        "file ends",
        "files end",
        "early (a copy or download broke off): {files}.",
        _COPY,
    ),
    "unreadable": ("file", "files", "cannot be decoded: {files}. {reason}.", _COPY),
    "not-a-mask": ("mask", "masks", "cannot be understood: {files}. {reason}.", _SAVE),
}


def size_text(size: tuple[int, int]) -> str:
    """(height, width) as `96x128`."""
    return f"{size[0]}x{size[1]}"


@check(needs="headers")
def check_files(context: CheckContext) -> Iterator[Finding]:
    """Files that are empty, end early, or cannot be decoded."""
    faults = [fault for stats in context.stats for fault in stats.faults]
    for kind, (one, many, why, remedy) in _FAULTS.items():
        found = [fault for fault in faults if fault.kind == kind]
        if found:
            reason = found[0].reason.rstrip(".").replace(f"{context.root}/", "")
            message = f"{plural(len(found), one, many)} {why.replace('{reason}', reason)}"
            files = [fault.file for fault in found]
            yield context.make_finding("error", kind, message, remedy, files)


@check(needs="headers")
def check_sizes(context: CheckContext) -> Iterator[Finding]:
    """Masks that do not have their image's size, and those that fit the photo before it turned."""
    wrong = [(f.pair, f.image, f.mask) for f in context.stats if f.fits == "no"]
    sizes = [
        f"{context.name(pair.image)} {size_text(image.size)}, mask {size_text(mask.size)}"
        for pair, image, mask in wrong
        if image and mask
    ]
    if sizes:
        more = f" and {len(sizes) - _LISTED} more" if len(sizes) > _LISTED else ""
        yield context.make_finding(
            "error",
            "size-mismatch",
            f"{plural(len(sizes), 'mask does', 'masks do')} not have the size of the image "
            f"(height x width): {'; '.join(sizes[:_LISTED])}{more}.",
            "Export these masks again at their image's size, or take the pairs out.",
            [pair.mask for pair, _, _ in wrong],
        )
    stored = [f.pair.image for f in context.stats if f.fits == "stored" and not f.undecided]
    if stored:
        message = (
            f"{plural(len(stored), 'photo is', 'photos are')} turned by an EXIF tag, and the "
            "masks fit the pixels as stored: {files}."
        )
        remedy = "Nothing: these photos are read without turning them."
        yield context.make_finding("note", "exif-rotation", message, remedy, stored)
