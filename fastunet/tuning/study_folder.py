"""The folder of a search: claimed by one process, and gone on with where it was stopped."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import count
from pathlib import Path

from fastunet._util.files import explained, make_folder, read_small, write_atomically
from fastunet._util.folders import remove_empty
from fastunet._util.lock import LOCK, Lock
from fastunet.errors import OutputError
from fastunet.plan import Plan
from fastunet.runs.contents import MAX_JSON, PLAN

TUNE_JSON = "tune.json"  # says what is searched for; written first
_DATABASE = "study.db"  # Optuna's


@dataclass(frozen=True)
class Search:
    """What was asked for, so that it can go on."""

    base: Plan  # what the first trial does; the options in it that are not searched stay
    space: dict[str, list]  # what is searched, as `search_space` gives it
    seconds: float  # a trial trains so long
    compared: int  # validation images by which trials are compared while they go on
    scored: int  # validation images by which they are scored
    minutes: float  # that were asked for
    most: int | None  # trials
    command: str = ""  # what the user typed
    used: float = 0.0  # seconds, of earlier processes


@dataclass
class StudyFolder:
    """A folder that one search may write to, until the `with` block ends.

    >>> with StudyFolder.claim("cells-tune") as folder:
    ...     folder.write(search)
    """

    path: Path
    _lock: Lock = field(repr=False)

    @classmethod
    @contextmanager
    def claim(cls, out: str | os.PathLike) -> "Iterator[StudyFolder]":
        """Take a folder for a new search. Raises `OutputError` where it is not empty, or taken."""
        path = Path(out)
        make_folder(path)
        with cls._held(path) as folder:
            if any(entry.name != LOCK for entry in path.iterdir()):
                go_on = f" To go on with the search in it: --resume {path}."
                raise OutputError(
                    f"{path} is not empty; a new folder was expected."
                    + (go_on if (path / TUNE_JSON).is_file() else "")
                )
            yield folder

    @classmethod
    @contextmanager
    def claim_next(cls, parent: Path, name: str) -> "Iterator[StudyFolder]":
        """Take the first of `parent/name-1`, `parent/name-2`, ... that does not exist."""
        make_folder(parent)
        for number in count(1):
            path = parent / f"{name}-{number}"
            try:
                with explained(path):
                    path.mkdir()
            except OutputError:
                if path.exists():
                    continue
                raise
            with cls.claim(path) as folder:
                yield folder
            return

    @classmethod
    @contextmanager
    def resume(cls, out: str | os.PathLike) -> "Iterator[StudyFolder]":
        """Take the folder of a search, as it is. Raises `OutputError` where none is there."""
        path = Path(out)
        if not (path / TUNE_JSON).is_file():
            raise OutputError(
                f"{path} holds no search: the folder that fastunet tune named was expected."
            )
        with cls._held(path) as folder:
            yield folder

    @classmethod
    @contextmanager
    def _held(cls, path: Path) -> "Iterator[StudyFolder]":
        with explained(path):
            lock = Lock.acquire(path, path)
        try:
            yield cls(path, lock)
        finally:
            lock.release(remove=True)
            remove_empty([path])

    @property
    def database(self) -> Path:
        """Where Optuna keeps the trials."""
        return self.path / _DATABASE

    @property
    def plan(self) -> Path:
        """The best plan so far."""
        return self.path / PLAN

    def write(self, search: Search) -> None:
        """Write down what is searched for."""
        document = {"format": 1, "fastunet": version("fastunet")}
        document |= {k: v for k, v in vars(search).items() if k != "base"}
        document["plan"] = json.loads(search.base.to_json())
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.path / TUNE_JSON, text.encode())

    def read(self) -> Search:
        """What `write` wrote. Raises `OutputError` where it is damaged."""
        file = self.path / TUNE_JSON
        try:
            document = json.loads(read_small(file, MAX_JSON, OutputError))
            base = Plan.from_json(json.dumps(document.pop("plan")), str(file))
            known = {name: document[name] for name in Search.__dataclass_fields__ if name != "base"}
            return Search(base, **known)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(f"{file} is damaged: {error}.") from error
