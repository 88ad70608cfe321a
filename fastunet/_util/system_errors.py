"""What the operating system, PyTorch or OpenCV refuse, in plain words: disks, rights, memory."""

import errno

_ELSEWHERE = "choose a place elsewhere"
_REASONS = {
    "ENOSPC": f"the disk is full; make room, or {_ELSEWHERE}",
    "EDQUOT": f"your share of the disk is used up; make room, or {_ELSEWHERE}",
    "EFBIG": f"the file is larger than is allowed here (ulimit -f); {_ELSEWHERE}",
    "EACCES": f"permission denied; ask for the right to it, or {_ELSEWHERE}",
    "EPERM": f"permission denied; ask for the right to it, or {_ELSEWHERE}",
    "EROFS": f"the disk is read-only; {_ELSEWHERE}",
    "EISDIR": "it is a folder, a file was meant; choose another name",
    "ENOTDIR": "a part of this path is a file where a folder was meant; choose another place",
    "EEXIST": "it exists already; choose another name",
    "ENOENT": "it does not exist, or its folder does not",
    "ENAMETOOLONG": "the name is too long for this disk; choose a shorter one",
    "EIO": "the disk does not answer as it should; is it damaged, or unplugged?",
    "EMFILE": "too many files are open; raise the limit (ulimit -n)",
    "ENFILE": "too many files are open on this machine; close other programs",
    "ENOMEM": "there is not enough memory; close other programs",
}
REASONS = {getattr(errno, name): text for name, text in _REASONS.items() if hasattr(errno, name)}

# How a lack of memory reads in PyTorch, OpenCV and C++, where it is not a MemoryError.
_NO_MEMORY = (
    "can't allocate memory",
    "out of memory",
    "alloc_failed",  # of cuBLAS and cuDNN
    "insufficient memory",
    "failed to allocate",
    "bad_alloc",
    "can't start new thread",
)
# oneDNN, which computes convolutions on CPUs, gives no other reason; these are whole messages
_OF_ONEDNN = ("could not create a primitive", "could not execute a primitive")


def reason(error: OSError) -> str:
    """Why the system refused, and what can be done."""
    return REASONS.get(error.errno) or error.strerror or str(error)


def is_lack_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    of_opencv = type(error).__module__ == "cv2"
    text = str(error).lower()
    told = text in _OF_ONEDNN or any(said in text for said in _NO_MEMORY)
    return (isinstance(error, RuntimeError) or of_opencv) and told


def explain(
    error: BaseException,
) -> str | None:  # None: it is not the machine's refusal, but a fault of the program
    """The refusal in one line: of which file, why, what to do."""
    if is_lack_of_memory(error):
        first = next(iter(str(error).splitlines()), "")
        detail = f" ({first[:200]})" if first else ""
        return (
            f"There is not enough memory{detail}. Take smaller batches (--bs), a smaller network "
            "input (--size) or smaller images, or close other programs."
        )
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{reason(error)}."
    return None
