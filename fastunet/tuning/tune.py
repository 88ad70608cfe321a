"""`tune`: which options suit these data, found by many short trainings within so many minutes."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fastunet import from_plan
from fastunet._util.files import write_atomically
from fastunet._util.kinds import Count, Minutes, checked
from fastunet._util.load import OtherPrograms
from fastunet._util.system_errors import is_lack_of_memory
from fastunet._util.terminal import say
from fastunet._util.text import plural
from fastunet.data.cache import room_in_memory
from fastunet.errors import FastunetError, OptionError, TrainingError
from fastunet.io.images import image_sizes
from fastunet.pairs.split import save_split
from fastunet.plan import Plan
from fastunet.runs.contents import BEST, SPLIT
from fastunet.tuning.one_trial import (
    KeptFiles,
    OutOfTime,
    Trained,
    TrialData,
    seconds_an_image,
    spread,
    train_trial,
)
from fastunet.tuning.search_space import (
    as_options,
    default_of,
    differences,
    first_guesses,
    search_space,
    suggested,
)
from fastunet.tuning.study_folder import Search, StudyFolder
from fastunet.tuning.tuned import TrialRow, Tuned, best_of

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

MINUTES = 30.0  # where nobody says
_REST = 4.0  # seconds for the last table, the picture and the end of Python
_TRIAL = 45.0  # seconds that a trial takes, where there is time for more than a few
_FEWEST, _MOST = 6, 40  # trials that the time is for
_SCORING, _COMPARING = 0.15, 0.04  # of a trial's time, at most
_COMPARED, _LEAST_IMAGES = 16, 4  # validation images to compare it by, at most; and at least
_SHARE = 0.75  # of a trial's time to train; the rest is to get ready and to score
_AT_RANDOM = 8  # trials before Optuna's sampler goes by the scores
_TO_WEIGH = 8  # finished trials, from which it shows which options mattered


def tune(
    data: str | os.PathLike | None = None,  # as of `fastunet train`; None: with `resume`
    minutes: float | None = None,  # on the clock, for all of it; None: 30, or what was left
    trials: int | None = None,  # at most; None: as many as the time is for
    out: str | os.PathLike | None = None,  # a new folder; None: runs/DATA-tune-1, -2, ...
    resume: str | os.PathLike | None = None,  # the folder of a search that is to go on
    **options: Any,  # of a plan: they are fixed
) -> Tuned:
    """Look for better options on these data; the result is a plan to train with.

    Size, network, learning rate, loss and augmentation are tried, but for those that are given. A
    trial is a short training; all have the same split, seed and time, and are scored at the images'
    own size on the validation part. The first trial is the default, so that what is found is at
    least as good by that score. Trials that fall behind are ended early.

    The folder holds `plan.json` (`fastunet train --plan`), `trials.csv`, `tune.png`, and in `best/`
    the model of the best trial. A search that was stopped goes on with `resume`: what was finished
    counts, and the trial that ran is done again.

    Raises `OptionError` for options that are not possible, `TrainingError` where Optuna is missing
    or no trial could be finished, `OutputError` for a folder that cannot be taken.

    >>> found = tune("cells", minutes=30, loss="combined")
    >>> print(found)
    """
    minutes, trials = (
        checked(Minutes | None, "minutes", minutes),
        checked(Count | None, "trials", trials),
    )
    if (data is None) == (resume is None):
        raise OptionError("Either data= or resume= was expected, the one or the other.")
    if resume is not None:
        if out is not None or options:
            raise OptionError("resume= goes on with the search's own options and folder.")
        return run_search(None, minutes, trials, StudyFolder.resume(resume))
    plan = Plan.of(data=data, **options)
    return run_search(plan, minutes, trials, new_folder(plan, out), fixed=[*options])


def new_folder(plan: Plan, out: str | os.PathLike | None) -> AbstractContextManager[StudyFolder]:
    """The folder of a new search."""
    if out is not None:
        return StudyFolder.claim(out)
    data = plan.files.data
    name = data.stem if data.is_file() else data.resolve().name
    return StudyFolder.claim_next(Path("runs"), f"{name}-tune")


def run_search(
    plan: Plan | None,  # the default; None: the search in the folder goes on
    minutes: float | None,
    trials: int | None,
    claim: AbstractContextManager[StudyFolder],
    fixed: Sequence[str] = (),  # options of the plan that the user chose
    started: float | None = None,  # by `time.perf_counter`, from when minutes count; None: now
    command: str = "",  # what the user typed, for the record
) -> Tuned:
    """What `tune` does, and the command line."""
    started = time.perf_counter() if started is None else started
    programs = OtherPrograms()
    _optuna()
    with claim as folder, tempfile.TemporaryDirectory(prefix="fastunet-") as scratch:
        if plan is None:
            before = folder.read()
            plan = before.base
            left = 60 * minutes if minutes else 60 * before.minutes - before.used
            if left < before.seconds:
                raise OptionError(
                    f"The time of this search is used up but for {max(0, left):.0f} s, and a trial "
                    f"trains for {before.seconds:.0f} s: give it more, minutes={before.minutes:g}."
                )
        else:
            before, left = None, 60 * (minutes or MINUTES)
        from_plan.begin(plan)
        understood = from_plan.look_at(plan, files=KeptFiles(room_in_memory()))
        if plan.fit.threads is None and from_plan.device(plan).type == "cpu":
            from_plan.share_the_cores(programs)
        plan, _ = from_plan.fill_in(plan, understood, trains=False)
        data = TrialData(understood)
        dls = data.loaders(plan)
        ends = started + left - _REST
        if before is None:
            search = _asked(plan, data, fixed, left / 60, trials, ends, scratch, command)
            folder.write(search)
        else:
            search = before if trials is None else replace(before, most=trials)
        parts = {part: len(some) for part, some in dls.pairs.items()}
        going = _Search(search, folder, data, parts, Path(scratch), started, ends)
        with going.told_what_is_left():
            going.run()
        made = going.result()
        if made.trials:
            write_atomically(folder.path / "tune.png", made.to_png())
        if made.best is None:
            raise TrainingError(
                f"No trial could be finished: {going.last_note}. Give it more time "
                f"(minutes={2 * left / 60:g})."
            )
        return made


def _asked(
    plan: Plan,
    data: TrialData,
    fixed: Sequence[str],
    minutes: float,
    trials: int | None,
    ends: float,
    scratch: str,
    command: str,
) -> Search:
    """What is searched, and how long a trial trains."""
    dls = data.loaders(plan)
    learn = from_plan.learner(plan, dls, Path(scratch))
    rate = float(learn.lr) if plan.fit.lr == "auto" else plan.fit.lr
    default = from_plan.decided(plan, learn, rate)
    sample = spread(dls.pairs["train"], 20)
    sides = sorted(max(image_sizes(pair.image)[0]) for pair in sample)
    space = search_space(default, fixed, sides[len(sides) // 2])
    if not space:
        raise OptionError("All options that are searched were given: there is nothing to try.")
    left = ends - time.perf_counter()
    count = trials or min(_MOST, max(_FEWEST, round(left / _TRIAL)))
    seconds = max(0.5, _SHARE * left / count)
    seconds_an_image(learn)  # the first time takes longer
    each, there = seconds_an_image(learn), len(dls.pairs["valid"])
    compared, scored = (
        min(there, most, max(_LEAST_IMAGES, int(share * seconds / each)))
        for share, most in ((_COMPARING, _COMPARED), (_SCORING, there))
    )
    said = f"{', '.join(space)}; {_length(plan, seconds)}"
    if scored < there:
        said += f", and is scored by {scored} of the {there} validation images"
    say(f"Search:  {said}")
    base = plan.from_anywhere()
    if not plan.fit.epochs:
        base = base.but(minutes=minutes)
    return Search(base, space, seconds, compared, scored, minutes, trials, command)


def _length(plan: Plan, seconds: float) -> str:
    if plan.fit.epochs:
        return f"a trial trains for {plural(plan.fit.epochs, 'epoch')}"
    return f"a trial trains for {seconds:.0f} s"


def _optuna():
    try:
        import optuna
    except ImportError as error:
        raise TrainingError(
            'The search is made with Optuna, which is not installed: pip install "fastunet[tune]".'
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@dataclass
class _Search:
    """A search at work."""

    search: Search
    folder: StudyFolder
    data: TrialData
    images: dict[str, int]  # by part
    scratch: Path  # for the weights of the trial that runs
    started: float
    ends: float  # by `time.perf_counter`: the last trial must be over
    last_note: str = "there was no time"

    def __post_init__(self):
        optuna, seed = _optuna(), self.search.base.split.seed
        storage = optuna.storages.RDBStorage(f"sqlite:///{self.folder.database.absolute()}")
        self.study: Study = optuna.create_study(
            storage=storage,
            study_name="fastunet",
            direction="maximize",
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=2),
            load_if_exists=True,
        )
        self.study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=_AT_RANDOM,
            seed=seed + len(self.study.trials),  # a search that goes on tries others
        )
        self.states = optuna.trial.TrialState
        for trial in self.study.trials:
            if trial.state == self.states.RUNNING:  # when the process ended
                self.study.tell(trial.number, state=self.states.FAIL)

    @contextmanager
    def told_what_is_left(self) -> Iterator[None]:
        """Within, Ctrl-C is answered with how to go on."""
        try:
            yield
        except KeyboardInterrupt:
            finished = sum(row.state != "failed" for row in self.rows())
            say(
                f"Stopped after {plural(finished, 'trial')}. To go on: "
                f"fastunet tune --resume {self.folder.path}"
            )
            raise

    def run(self) -> None:
        """Trial by trial, while there is time."""
        search, base = self.search, self.search.base
        while not self.search.most or len(self.rows()) < self.search.most:
            if time.perf_counter() + self._needed() > self.ends and self.rows():
                return
            if (guess := self._guess()) is not None:
                self.study.enqueue_trial(guess)
            trial = self.study.ask()
            values = suggested(trial, self.search.space)
            first = best_of(self.rows()) is None
            plan = base.but(**as_options(values))
            try:
                images, seconds = (search.compared, search.scored), search.seconds
                done = train_trial(
                    trial, plan, self.data, self.scratch, images, seconds, self.ends, first
                )
            except OutOfTime:
                self.study.tell(trial, state=self.states.FAIL)
                return
            except (FastunetError, RuntimeError, MemoryError) as error:
                if not isinstance(error, FastunetError) and not is_lack_of_memory(error):
                    raise
                self.last_note = " ".join(str(error).split())[:300]
                trial.set_user_attr("note", self.last_note)
                self.study.tell(trial, state=self.states.FAIL)
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
            else:
                self._tell(trial, done)
            self._write(values)

    def _guess(self) -> dict[str, Any] | None:
        """What is to be tried before Optuna chooses: also what was tried and not ended."""
        trials = self.study.get_trials(deepcopy=False)
        ended = [trial.params for trial in trials if _row(trial) is not None]
        stopped = [t.params for t in trials if t.params.keys() == self.search.space.keys()]
        default, *others = first_guesses(self.search.space)
        wanted = [default, *stopped, *others]
        return next((values for values in wanted if values not in ended), None)

    def _needed(self) -> float:
        """Seconds that another trial takes, as those before did."""
        trials = self.study.get_trials(deepcopy=False)
        known = [t.user_attrs for t in trials if "overhead" in t.user_attrs]
        overhead = max((attrs["overhead"] for attrs in known), default=0.0)
        if self.search.base.fit.epochs:
            return overhead + max((attrs["seconds"] for attrs in known), default=0.0)
        return overhead + self.search.seconds

    def _tell(self, trial: "Trial", done: Trained) -> None:
        trial.set_user_attr("seconds", done.seconds)
        trial.set_user_attr("overhead", done.overhead)
        trial.set_user_attr("epochs", len(done.learn.recorder.values))
        if done.scores is None:
            self.study.tell(trial, state=self.states.PRUNED)
            return
        best = best_of(self.rows())
        trial.set_user_attr("interval", done.scores.intervals["dice"])
        if best is None or done.scores.dice > best.score:
            bundle = done.learn.save_bundle(
                self.folder.path / BEST,
                done.scores.to_dict(),
                {"command": self.search.command, "trial": trial.number, "seconds": done.seconds},
            )
            save_split(done.learn.dls.pairs, Path(bundle) / SPLIT)
            done.plan.save(self.folder.plan)
        self.study.tell(trial, done.scores.dice)

    def _write(self, values: dict[str, Any]) -> None:
        """All that a search leaves, after each trial; and a line for the terminal."""
        used = self.search.used + time.perf_counter() - self.started
        self.folder.write(replace(self.search, used=used))
        made = self.result()
        write_atomically(self.folder.path / "trials.csv", made.to_csv())
        row = made.trials[-1]
        told = {
            "finished": f"Dice {row.score:.4f}",
            "pruned": f"{row.score:.4f}, ended early",
            "failed": f"failed: {row.note}",
        }[row.state]
        best = ", the best so far" if row is made.best else ""
        said = differences(values, made.default)
        say(f"Trial {row.number}: {said}: {told} ({row.seconds:.0f} s){best}")

    def rows(self) -> list[TrialRow]:
        """The trials that came to an end, in their order."""
        rows = [_row(trial) for trial in self.study.get_trials(deepcopy=False)]
        return [row for row in rows if row is not None]

    def result(self) -> Tuned:
        """What was found so far."""
        rows = self.rows()
        best = best_of(rows)
        plan = Plan.load(self.folder.plan) if best is not None else self.search.base
        return Tuned(
            folder=self.folder.path,
            plan=plan,
            trials=rows,
            default=default_of(self.search.space),
            importance=self._importance(rows),
            scored=self.search.scored,
            valid=self.images["valid"],
            test=self.images["test"],
        )

    def _importance(self, rows: Sequence[TrialRow]) -> dict[str, float]:
        if sum(row.state == "finished" for row in rows) < _TO_WEIGH:
            return {}
        importance = _optuna().importance
        evaluator = importance.PedAnovaImportanceEvaluator()
        found = importance.get_param_importances(self.study, evaluator=evaluator)
        return {name: float(share) for name, share in found.items()}


def _row(trial: "FrozenTrial") -> TrialRow | None:
    """A trial that came to an end by itself."""
    attrs, state = trial.user_attrs, trial.state.name
    low, high = attrs.get("interval") or (float("nan"),) * 2
    common = dict(
        low=low,
        high=high,
        seconds=attrs.get("seconds", 0.0),
        epochs=attrs.get("epochs", 0),
        values=trial.params,
    )
    if state == "COMPLETE":
        assert trial.value is not None
        return TrialRow(trial.number, "finished", trial.value, **common)
    if state == "PRUNED":
        last = trial.intermediate_values[max(trial.intermediate_values)]
        return TrialRow(trial.number, "pruned", last, **common)
    if state == "FAIL" and "note" in attrs:
        return TrialRow(trial.number, "failed", float("nan"), **common, note=attrs["note"])
    return None
