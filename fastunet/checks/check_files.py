"""Checks of files: whether they open, and whether a mask has the size of its image."""

from collections.abc import Iterator

from fastunet.checks.check import CheckContext, check
from fastunet.checks.finding import Finding

_LISTED = 5  # sizes that a message names

_FAULTS = {
    "empty-file": "{n:file holds|files hold} no bytes: {files}.",
    "truncated": "{n:file ends|files end} early (a copy or download broke off): {files}.",
    "unreadable": "{n:file|files} cannot be decoded: {files}. {reason}.",
    "not-a-mask": "{n:mask|masks} cannot be understood: {files}. {reason}.",
}


def size_text(size: tuple[int, int]) -> str:
    """(height, width) as `96x128`."""
    return f"{size[0]}x{size[1]}"


@check(needs="headers")
def check_files(context: CheckContext) -> Iterator[Finding]:
    """Files that are empty, end early, or cannot be decoded."""
    faults = [fault for stats in context.stats for fault in stats.faults]
    for kind, message in _FAULTS.items():
        if found := [fault for fault in faults if fault.kind == kind]:
            files = [fault.file for fault in found]
            reason = found[0].reason.rstrip(".").replace(f"{context.root}/", "")
            how = "Save them again" if kind == "not-a-mask" else "Copy them again from their source"
            remedy = f"{how}, or take image and mask out of the folders."
            yield from context.report("error", kind, message, remedy, files, reason=reason)


@check(needs="headers")
def check_sizes(context: CheckContext) -> Iterator[Finding]:
    """Masks that do not have their image's size, and those that fit the photo before it turned."""
    wrong = [(f.pair, f.image, f.mask) for f in context.stats if f.fits == "no"]
    sizes = [
        f"{context.name(pair.image)} {size_text(image.size)}, mask {size_text(mask.size)}"
        for pair, image, mask in wrong
        if image and mask
    ]
    more = f" and {len(sizes) - _LISTED} more" if len(sizes) > _LISTED else ""
    message = "{n:mask does|masks do} not have the size of the image (height x width): {sizes}."
    remedy = "Export these masks again at their image's size, or take the pairs out."
    masks, told = [pair.mask for pair, _, _ in wrong], "; ".join(sizes[:_LISTED]) + more
    yield from context.report("error", "size-mismatch", message, remedy, masks, sizes=told)
    stored = [f.pair.image for f in context.stats if f.fits == "stored" and not f.undecided]
    message = (
        "{n:photo is|photos are} turned by an EXIF tag, and the masks fit the pixels as stored: "
        "{files}."
    )
    remedy = "Nothing: these photos are read without turning them."
    yield from context.report("note", "exif-rotation", message, remedy, stored)
