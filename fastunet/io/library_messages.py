"""What image libraries print by themselves, gathered into one line for a whole pass over files.

OpenCV and what it is built of (libtiff, libpng, libjpeg) write to the file descriptor of stderr,
past Python, a line or two for each file with a tag that they do not know. tifffile logs.
"""

import logging
import os
import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO

import cv2

from fastunet._util.warn import warn

# `[ WARN:0@0.056] global grfmt_tiff.cpp:123 TIFF_Warning TIFFReadDirectory: Unknown field ...`
_OPENCV = re.compile(r"\[ *(?:WARN|ERROR|INFO|FATAL)[^\]]*\] (?:global )?(?:\S+\.cpp:\d+ \S+ )?")
_OTHERS = re.compile(
    r"libpng |TIFF\w*: |Corrupt JPEG data|Premature end of JPEG|Invalid SOS|\S+\.tiff?: |"
    r"Warning: unknown JFIF|Unsupported marker type|Inconsistent progression"
)
_LOGGERS = ("tifffile", "PIL")
_LONGEST = 150  # characters of a message that are shown


@contextmanager
def gathered_messages() -> Iterator[None]:
    """Within, libraries print nothing; at the end one warning says how often and what.

    Python's own stderr goes on, with progress bars and warnings that are made within. What is not
    known as a library's message is passed on at the end. Passes may be nested, and run in several
    threads: the first one that begins gathers for all. Of OpenCV's warnings nothing is heard
    afterwards, in training and prediction, unless OPENCV_LOG_LEVEL is set.
    """
    _one.enter()
    try:
        yield
    finally:
        _one.leave()


class _Gathering:
    """The one that the process may have."""

    def __init__(self):
        self._lock = threading.Lock()
        self._depth = 0
        self._stderr: int | None = None  # a copy of descriptor 2, open from the first time on
        self._kept: BinaryIO | None = None
        self._python: tuple[TextIO, TextIO] | None = None  # sys.stderr before and within
        self._log = _Log()

    def enter(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._log.start()
                with suppress(OSError):  # nobody has a stderr
                    self._redirect()

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            said = [*self._restore(), *self._log.stop()]
        _tell(said)

    def _redirect(self) -> None:
        self._stderr = os.dup(2) if self._stderr is None else os.dup2(2, self._stderr)
        self._kept = tempfile.TemporaryFile(prefix="fastunet-")  # noqa: SIM115 - till the end
        if _writes_to(sys.stderr, 2):
            sys.stderr.flush()
            ours = os.fdopen(self._stderr, "w", 1, sys.stderr.encoding, "replace", closefd=False)
            self._python, sys.stderr = (sys.stderr, ours), ours
        os.dup2(self._kept.fileno(), 2)

    def _restore(self) -> list[str]:
        """Everything as it was; the lines that were kept back."""
        if self._kept is None or self._stderr is None:
            return []
        os.dup2(self._stderr, 2)
        if self._python is not None:
            before, ours = self._python
            if sys.stderr is ours:
                sys.stderr = before
            self._python = None  # who holds the other one may write to it still
        with self._kept as kept:
            kept.seek(0)
            lines = kept.read().decode(errors="replace").splitlines()
        self._kept = None
        return [line for line in lines if line.strip()]


class _Log(logging.Handler):
    """What libraries log where the user has set up no logging."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self._lines: list[str] = []
        self._at: list[logging.Logger] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f"[ WARN:] {record.getMessage()}")

    def start(self) -> None:
        self._at = [log for log in map(logging.getLogger, _LOGGERS) if not log.hasHandlers()]
        for log in self._at:
            log.addHandler(self)

    def stop(self) -> list[str]:
        for log in self._at:
            log.removeHandler(self)
        lines, self._lines = self._lines, []
        return lines


def _writes_to(stream: TextIO | None, descriptor: int) -> bool:
    if stream is None:
        return False
    try:
        return stream.fileno() == descriptor
    except (AttributeError, OSError, ValueError):  # closed, or not of a file (notebooks)
        return False


def _tell(lines: list[str]) -> None:
    messages: Counter[str] = Counter()
    for line in lines:
        if (opencv := _OPENCV.match(line)) or _OTHERS.match(line):
            messages[line[opencv.end() :] if opencv else line] += 1
        else:
            print(line, file=sys.stderr)
    if not messages:
        return
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    first = next(iter(messages))
    shown = first if len(first) <= _LONGEST else first[: _LONGEST - 3] + "..."
    times = "once" if messages[first] == 1 else f"{messages[first]} times"
    others = f", and {len(messages) - 1} other messages" if len(messages) > 1 else ""
    warn(
        f"While files were decoded, image libraries said {times}: {shown}{others}. "
        "All files that are not named as unreadable were read."
    )


_one = _Gathering()
