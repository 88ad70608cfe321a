"""The folder of a training run: claimed by one run, whole at every moment, never over other files.

A run holds a lock that ends with its process. Where a run stands already, the new one is made in a
folder beside it and put in its place by one step when it is finished.
"""

import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from fastunet._util.files import explained, write_atomically
from fastunet._util.folders import is_mount, make_missing, remove_empty, swap
from fastunet._util.interrupts import uninterrupted
from fastunet._util.lock import LOCK, Lock
from fastunet._util.system_errors import reason
from fastunet._util.text import listing, plural
from fastunet.errors import OutputError
from fastunet.runs.contents import (
    BEST,
    BUNDLE_JSON,
    CHECKPOINT_FILES,
    CHECKPOINTS,
    FOLD_DONE,
    FOLDS,
    FORMAT,
    RUN_JSON,
    TEMPORARY,
    State,
    foreign_files,
    record_of,
    remove_own,
    remove_partial,
    state_of,
    unfinished,
)


class RunFolder:
    """A folder that one training run may write to, until the `with` block ends.

    Files go to `work`; `finish` puts the finished run at `path`. Where the block ends before that,
    a run with a model in `best/` or a checkpoint is kept as unfinished, any other is removed.

    >>> with RunFolder.claim("cells") as folder:
    ...     train(plan, folder)
    """

    def __init__(self, path: Path, command: str):
        self.path = path  # as the user wrote it
        self._place = Path(os.path.realpath(path))
        self.work = self._place  # where files are written until the run is finished
        self.finished = False
        self._claimed = False
        self._locks: list[Lock] = []
        self._made: list[Path] = []  # folders that were missing, the innermost first
        self._record: dict[str, Any] = {
            "format": FORMAT,
            "fastunet": version("fastunet"),
            "status": "unfinished",
            "command": command,
            "started": _now(),
            "versions": {name: version(name) for name in ("torch", "fastai")},
        }

    @classmethod
    @contextmanager
    def claim(
        cls,
        out: str | os.PathLike,  # made where it is missing
        overwrite: bool = False,  # a run that stands there may be replaced
        command: str = "",  # what the user typed, for the record
    ) -> "Iterator[RunFolder]":
        """Take a folder for a run. Where that is refused the folder stays as it was.

        Raises `OutputError` where it cannot be written, holds anything but a run, holds a run and
        `overwrite` is not set, or belongs to a training that goes on.
        """
        folder = cls(Path(out), command)
        with folder._held(partial(folder._take, overwrite)):
            yield folder

    @classmethod
    @contextmanager
    def resume(cls, out: str | os.PathLike) -> "Iterator[RunFolder]":
        """Take the folder of a run that was stopped, as it is.

        Raises `OutputError` where no such run is to be found, or it goes on.
        """
        folder = cls(Path(out), "")
        with folder._held(folder._take_again):
            yield folder

    @classmethod
    @contextmanager
    def claim_next(cls, parent: Path, name: str, command: str = "") -> "Iterator[RunFolder]":
        """Claim the first of `parent/name-1`, `parent/name-2`, ... that does not exist."""
        for number in count(1):
            folder = cls(parent / f"{name}-{number}", command)
            with folder._held(partial(folder._take, new=True)) as taken:
                if taken:
                    yield folder
                    return

    @classmethod
    def claim_for(
        cls,
        data: Path,  # what is trained on
        out: str | os.PathLike | None = None,  # None: `runs/DATA-1`, `-2`, ...
        overwrite: bool = False,
        command: str = "",
    ) -> "AbstractContextManager[RunFolder]":
        """As `claim`; where no folder is named, the next one that is named after the data."""
        if out:
            return cls.claim(out, overwrite, command)
        name = data.stem if data.is_file() else data.resolve().name
        return cls.claim_next(Path("runs"), name, command)

    @classmethod
    def held_elsewhere(cls, path: Path, work: Path, command: str) -> "RunFolder":
        """The folder that another process of a distributed run holds: to be read, not written."""
        folder = cls(path, command)
        folder.work = work
        return folder

    @property
    def command(self) -> str:
        """What the user typed when the run began."""
        return self._record["command"]

    @property
    def has_model(self) -> bool:
        """The best epoch so far stands in `best/`."""
        return (self.work / BEST / BUNDLE_JSON).is_file()

    @property
    def can_resume(self) -> bool:
        """It has trained: there is something to go on from."""
        folders = [self.work, *self.work.glob(f"{FOLDS}/*")]
        return self.has_model or any(
            (folder / FOLD_DONE).is_file() or any((folder / CHECKPOINTS).glob(CHECKPOINT_FILES))
            for folder in folders
        )

    @property
    def best(self) -> Path:
        """The folder of the best epoch so far, as a message names it."""
        shown = self.path if self.work == self._place else self.path.with_name(self.work.name)
        return shown / BEST

    def what_is_left(self) -> str:
        """What to tell of a run that was stopped."""
        if self.finished:
            return f"The run is finished; it is in {self.path}."
        resume = f"To go on: fastunet train --resume {shlex.quote(str(self.path))}"
        if not self.has_model:
            told = "It was stopped before the first epoch ended, so that there is no model yet."
            return f"{told} {resume}" if self.can_resume else told
        bundle = json.loads((self.work / BEST / BUNDLE_JSON).read_bytes())
        epoch, name = bundle["training"]["epoch"], bundle["training"]["best_by"]
        epochs = len((self.work / "history.csv").read_text().splitlines()) - 1
        return (
            f"It was stopped after {plural(epochs, 'epoch')}. The best of them (epoch {epoch}, "
            f"{name} {bundle['metrics'][name]:.4f}) is a model: fastunet predict {self.best} "
            f"IMAGES... {resume}"
        )

    def check_space(
        self,
        needed: int,  # bytes that the run will write, generously
    ) -> None:
        """Raise `OutputError` where the disk has less left."""
        free = shutil.disk_usage(self.work).free
        if free < needed:
            raise OutputError(
                f"{self.path}: {free / 1e6:,.0f} MB are free on this disk, and the run may write "
                f"{needed / 1e6:,.0f} MB. Make room, or choose another --out."
            )

    def finish(self) -> list[Path]:
        """Mark the run as finished and put it in its place; all its files must be written.

        Returns files that were put into the replaced run's folder since it was looked at; they
        stay, beside the new run.
        """
        with uninterrupted():
            self._write_record(status="finished", finished=_now())
            self.finished = True
            for name in (BEST, CHECKPOINTS):
                shutil.rmtree(self.work / name, ignore_errors=True)
            return [] if self.work == self._place else self._put_in_place()

    # --- taking it, giving it back ---

    @contextmanager
    def _held(self, take: Callable[[], bool]) -> Iterator[bool]:
        """Whether the folder was taken; it is given back when the block ends."""
        try:
            with uninterrupted():
                taken = take()
            yield taken
        finally:
            with uninterrupted():
                self._give_back()

    def _take(self, overwrite: bool = False, new: bool = False) -> bool:
        """False where the folder must be new and is not."""
        place = self._place
        if new and self.path.exists():
            return False
        with explained(self.path):
            _restore_interrupted_swap(place)
            self._made = make_missing(place.parent if new else place)
            if new:
                try:
                    place.mkdir()
                except FileExistsError:
                    return False
                self._made.insert(0, place)
            if (place / LOCK).exists():  # who holds it is told before what is in the folder
                self._lock(place)
            _check(self.path, place, overwrite)
            if not self._locks:
                self._lock(place)
            if _check(self.path, place, overwrite) == "empty":
                remove_own(place, keep=[LOCK])
            else:
                _check_movable(self.path, place)
                self._take_the_place_beside()
            self._claimed = True
            self._write_record()
        return True

    def _take_again(self) -> bool:
        place = self._place
        with explained(self.path):
            _restore_interrupted_swap(place)
            self.work = stopped_run(self.path)
            for folder in dict.fromkeys((place, self.work)):
                self._lock(folder)
            stopped_run(self.path)  # not finished meanwhile
            self._claimed = True
            remove_partial(self.work)
            before = record_of(self.work) or {}
            self._record = before | {"resumed": [*before.get("resumed", []), _now()]}
            self._write_record()
        return True

    def _take_the_place_beside(self) -> None:
        beside = self._place.with_name(f"{self._place.name}.new")
        self._made = [*make_missing(beside), *self._made]
        self._lock(beside)
        _discard(beside, keep=[LOCK])
        (beside / TEMPORARY).touch()
        self.work = beside

    def _lock(self, folder: Path) -> None:
        self._locks.append(Lock.acquire(folder, self.path))

    def _give_back(self) -> None:
        if self._claimed and not (self.finished or self.can_resume):
            remove_own(self.work, keep=[LOCK])
        for lock in self._locks:
            lock.release(remove=self._claimed or lock.created)
        remove_empty(self._made)

    def _before_renaming(self) -> None:
        if os.name == "nt":  # there a folder with an open file cannot be renamed
            for lock in self._locks:
                lock.release()

    def _write_record(self, **changes: str) -> None:
        self._record |= changes
        text = json.dumps(self._record, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.work / RUN_JSON, text.encode())

    def _put_in_place(self) -> list[Path]:
        """At every moment the old run or the new one stands there whole."""
        aside = self._place.with_name(f"{self._place.name}.old")
        try:
            if aside.exists():
                _discard(aside)
            (self._place / TEMPORARY).touch()  # the old run may be removed once it is aside
            aside = swap(self.work, self._place, aside, self._before_renaming)
        except OSError as error:
            raise OutputError(
                f"{self.path} could not be replaced: {reason(error)}. The new run is whole; "
                f"it is in {self.work}. Put it in its place yourself."
            ) from error
        self.work = self._place
        (self._place / TEMPORARY).unlink(missing_ok=True)
        foreign = remove_own(aside)
        remove_empty([aside])
        return [self.path.with_name(aside.name) / name for name in foreign]


# --- what may be claimed -------------------------------------------------------------------------


def _check(path: Path, place: Path, overwrite: bool) -> State:
    """What stands there. Raises `OutputError` where no run may be written."""
    state, own = state_of(place)
    if foreign := foreign_files(place, own):
        raise OutputError(
            f"{path} holds files that are not a training run's ({len(foreign)}): "
            f"{listing(foreign, 5)}. A run needs a folder of its own: choose another --out."
        )
    if state == "empty" or overwrite:
        return state
    if state == "unfinished":
        raise OutputError(
            f"{unfinished(path)} Let it go on with --resume {path}, choose another --out, or say "
            "--overwrite."
        )
    raise OutputError(
        f"{path} holds a trained model already. Choose another --out, or say --overwrite."
    )


def stopped_run(
    path: Path,  # where the run is, or will be when it is finished
) -> Path:
    """The folder in which an unfinished run stands. Raises `OutputError` where there is none."""
    place = Path(os.path.realpath(path))
    beside = place.with_name(f"{place.name}.new")
    for folder in (place, beside):
        marked = (folder / TEMPORARY).exists()
        if state_of(folder)[0] == "unfinished" and marked == (folder == beside):
            return folder
    if state_of(place)[0] == "finished":
        raise OutputError(f"{path} is finished: there is nothing to resume.")
    raise OutputError(
        f"{path} is no training run that was stopped: the folder that fastunet train named was "
        "expected. A run that was stopped before it began to train is started anew."
    )


def _check_movable(path: Path, place: Path) -> None:
    """A folder that is to be replaced must be one that can be renamed, and nobody's place to be."""
    why = ""
    if is_mount(place):
        why = "is a mount point or the top of a disk"
    elif Path.cwd().is_relative_to(place):
        why = "is the folder that you are in"
    if why:
        raise OutputError(
            f"{path} {why}, so that the run in it cannot be replaced. Choose another --out, "
            "such as a folder in it, or remove the run yourself."
        )


def _discard(folder: Path, keep: Sequence[str] = ()) -> None:
    """Empty a folder that an overwriting run left when it was killed; never anything else."""
    state, own = state_of(folder)
    if foreign_files(folder, own) or (state != "empty" and not (folder / TEMPORARY).exists()):
        raise OutputError(
            f"{folder} is in the way: a run that replaces another needs this place for a while. "
            "Move it, or choose another --out."
        )
    remove_own(folder, keep)


def _restore_interrupted_swap(place: Path) -> None:
    """Where folders are not exchanged a run can be killed between two renames: undo the first."""
    aside = place.with_name(f"{place.name}.old")
    if not place.exists() and (aside / TEMPORARY).exists():
        aside.rename(place)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
