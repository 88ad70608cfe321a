"""One training run: a plan in, a run folder out. What `fastunet train` and `demo` do.

A run folder holds the bundle (`bundle.json`, `model.safetensors`), `plan.json` (what was done, to
be repeated), `history.csv`, the pictures, `split.json` (which image was in which part),
`skipped.json` (which pairs `skip_bad` left out, and why), `diagnoses.json` (what went wrong in the
training, if anything), `evaluation/` (the scores with their intervals, as JSON, tables and a
picture), `tensorboard/` (where that was asked for), `command.txt`, and `run.json`, which says
whether the run is finished; until then `best/` is a bundle of the best epoch so far, and
`checkpoints/` is where the run goes on if it is stopped.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fastai.callback.progress import CSVLogger
from fastai.torch_core import set_seed

from fastunet._util import processes
from fastunet._util.files import write_atomically
from fastunet._util.load import OtherPrograms
from fastunet._util.terminal import say
from fastunet._util.text import plural
from fastunet.better_than import on_the_same_split
from fastunet.callback.best_bundle import SaveBestBundle
from fastunet.callback.checkpoint import Checkpoint
from fastunet.callback.clock import ClockRecord, fit_again
from fastunet.callback.compiled import WORTH_IT, Compiled
from fastunet.callback.early_stopping import StopEarly
from fastunet.callback.rate_finder import LEAST, batches_within
from fastunet.callback.time_budget import TimeBudget
from fastunet.callback.tracker import Tracker
from fastunet.checks.bad_pairs import Skipped, save_skipped
from fastunet.cross_validation import OF_TIME, cross_validate, held_out_of, trained_on_all
from fastunet.evaluation.result import Evaluation
from fastunet.finish import HeldOut, bytes_needed, finish, training_ends
from fastunet.from_plan import (
    begin,
    decided,
    device,
    fill_in,
    find_lr,
    learner,
    load,
    look_at,
    share_the_cores,
)
from fastunet.learner import SegmentationLearner
from fastunet.pairs.find import find_pairs
from fastunet.pairs.pair import Pair, PairList
from fastunet.pairs.split import save_split
from fastunet.plan import EPOCHS, Clock, Plan
from fastunet.planner.reasons import save_reasons
from fastunet.runs.contents import (
    BEST,
    CHECKPOINTS,
    PLAN,
    REASONS,
    SKIPPED,
    SPLIT,
)
from fastunet.runs.run_folder import RunFolder
from fastunet.scan.decoded import DecodedFiles

_TO_FIND = 0.25  # of the time, for lr_find at most
_LEAST = 1.0  # seconds of training, however little was asked for


def train(
    plan: Plan,
    folder: RunFolder,
    started: float | None = None,  # by `time.perf_counter`, from when minutes count; None: now
    command: str = "",  # what the user typed, for the record
    pairs: PairList | None = None,  # what was found already in the plan's files, if anything
    files: DecodedFiles | None = None,  # what was decoded of them
    anew: bool = True,  # the plan's minutes are from now; else those left at the last checkpoint
) -> Evaluation:
    """Train, evaluate at the images' own size, write the run folder and finish it.

    At every moment the best epoch so far is a bundle in `folder.best`. Where the folder has
    checkpoints the training goes on from the last one. Returns the evaluation on the test part
    where there is one, else on the validation part.

    Where a launcher has started several processes all of them train; the first one writes.
    """
    programs = OtherPrograms()
    processes.begin()
    own_start = time.perf_counter() if started is None else started
    started = processes.from_first(lambda: own_start)
    begin(plan)
    pairs = pairs or find_pairs(*plan.files.words, missing_ok=plan.input.skip_bad)
    if plan.fit.better_than is not None:
        plan = on_the_same_split(plan, plan.fit.better_than, pairs)
    data = look_at(plan, pairs, files)
    if plan.fit.threads is None and device(plan).type == "cpu":
        share_the_cores(programs)
    plan, reasons = fill_in(plan, data, started)
    cross_validates = (plan.split.folds or 1) > 1
    dls = load(plan, trained_on_all(data) if cross_validates else data)
    if processes.is_first():
        parts = dls.pairs | {"valid": []} if cross_validates else dls.pairs
        _save_data(parts, dls.skipped, folder, command)
        if reasons:
            save_reasons(reasons, folder.work / REASONS)
    learn = learner(plan, dls, folder.work)
    if processes.is_first():
        folder.check_space(bytes_needed(learn.model, plan.split.folds or 0))
    rate = _peak_rate(plan, learn, folder.work / "lr_find.png", started)
    plan = decided(plan, learn, rate)
    if processes.is_first():
        plan.save(folder.work / PLAN)
    training = {
        "command": command,
        "arch": plan.model.arch,
        "lr_max": rate,
        "bs": learn.dls.bs,
        "seed": plan.split.seed,
        "images": {part: len(pairs) for part, pairs in dls.pairs.items()},
    }
    held_out = HeldOut(dls.pairs["valid"])
    if cross_validates:
        seconds = None
        if plan.fit.minutes:
            seconds = OF_TIME * (started + 60 * plan.fit.minutes - processes.clock())
        folds = cross_validate(plan, data, folder.work, rate, seconds)
        held_out = held_out_of(learn, folds)
        set_seed(plan.split.seed)
        learn.monitor = "train_loss"
        say("The model of all images: what its epochs are validated on, it is trained on, too.")
        training["folds"] = len(folds)
    learn.guard.folder = folder.work
    tracker = _tracker(plan, folder)
    learn.add_cb(tracker)
    ends = partial(training_ends, learn, held_out, plan, started)
    clock, facts = _fit(plan, learn, rate, folder, training, ends, anew)
    processes.end()
    plan = replace(plan, clock=clock, fit=replace(plan.fit, micro_batch=learn.micro_batches.size))
    done = partial(finish, plan, learn, held_out, folder, training, facts, tracker)
    return processes.result_of_first(done)


def _save_data(
    parts: Mapping[str, Sequence[Pair]],
    skipped: Sequence[Skipped],
    folder: RunFolder,
    command: str,
) -> None:
    """Write down which images are trained on, and which are left out."""
    write_atomically(folder.work / "command.txt", (command + "\n").encode())
    save_split(parts, folder.work / SPLIT, [one.pair for one in skipped])
    if skipped:
        save_skipped(skipped, folder.work / SKIPPED)
        say(f"Skipped: {len(skipped)} pairs; why is in {folder.path / SKIPPED}")


def _tracker(plan: Plan, folder: RunFolder) -> Tracker:
    """Who reports the run to the services that were asked for, if any."""
    return Tracker(
        *(plan.fit.track or ()),
        folder=folder.work,
        name=folder.path.resolve().name,
        config={name: value for name, value in plan.options.items() if value is not None},
        keep_open=True,
    )


# --- learning rate and fit ------------------------------------------------------------------------


def _peak_rate(plan: Plan, learn: SegmentationLearner, picture: Path, started: float) -> float:
    if plan.fit.lr != "auto":
        return plan.fit.lr
    batches = wanted = plan.fit.lr_batches
    if plan.fit.minutes:
        left = started + 60 * plan.fit.minutes - processes.clock()
        batches = batches_within(learn, wanted, _TO_FIND * left)
        if batches < min(wanted, LEAST):
            say(
                f"lr_find: left out, since only {batches} batches fit into a quarter of the "
                f"{left:.0f} s that are left. The default rate of {learn.lr:.2g} is taken."
            )
            return float(learn.lr)
    return find_lr(learn, batches, picture)


def _fit(
    plan: Plan,
    learn: SegmentationLearner,
    rate: float,
    folder: RunFolder,
    facts: dict,  # for the bundle of the best epoch
    ends: Callable[[], float],  # when the training must end, by `time.perf_counter`
    anew: bool,
) -> tuple[Clock | None, dict]:
    """Train as long as was asked for. Returns what the clock decided, and what there is to say."""
    monitor = learn.monitored
    best = SaveBestBundle(folder.work / BEST, monitor, {**facts, "best_by": monitor})
    checkpoint = Checkpoint(folder.work / CHECKPOINTS, plan.fit.checkpoint_minutes, resume=True)
    callbacks = [best, checkpoint]
    if processes.is_first():
        callbacks.insert(0, CSVLogger(fname="history.csv"))
    clock, minutes = plan.clock, plan.fit.minutes
    if plan.fit.patience:
        callbacks.append(StopEarly(plan.fit.patience))
    if plan.fit.compile and minutes and 60 * minutes < WORTH_IT:
        say(f"torch.compile: left out, since it pays from {WORTH_IT / 60:.0f} minutes on.")
    elif plan.fit.compile and processes.count() > 1:
        say("torch.compile: left out, since several processes train.")
    elif plan.fit.compile:
        callbacks.append(Compiled())
    if checkpoint.resumed:
        say(f"The run goes on after {plural(checkpoint.epochs_done, 'epoch')}.")
    at_a_rate = f"at a peak learning rate of {rate:.2g}"
    before = checkpoint.told_by(TimeBudget)
    if clock is not None and not before:
        batches = sum(map(len, clock.steps))
        say(f"Training for {batches} batches {at_a_rate}, as the clock had them before")
        fit_again(learn, clock, rate, callbacks)
    elif minutes:
        until: Callable[[], float] | None = None
        if before and not anew:
            seconds = max(before["left"], 0.01)
        else:
            until = partial(processes.from_first, ends)
            seconds = max(until() - processes.clock(), _LEAST)
        say(f"Training for {seconds:.0f} of the {60 * minutes:.0f} s {at_a_rate}")
        record = ClockRecord()
        schedule = learn.fit_minutes(seconds / 60, rate, cbs=[*callbacks, record], until=until)
        clock = record.clock(schedule.batches)
    else:
        epochs = plan.fit.epochs or EPOCHS
        say(f"Training for {epochs} epochs {at_a_rate}")
        learn.fit_one_cycle(epochs, rate, cbs=callbacks)
    return clock, {
        "best_by": monitor,
        "micro_batch": learn.micro_batches.size,
        "best_epoch": best.best_epoch,
        "epochs": len(learn.recorder.values),
        "seconds": round(checkpoint.seconds, 1),
    }
