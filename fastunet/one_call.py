"""`fastunet.train`: scan, plan, train, choose the threshold, evaluate and keep, in one call."""

import os
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

from fastunet import training
from fastunet.errors import OptionError
from fastunet.evaluation.result import Evaluation
from fastunet.inference import Segmenter
from fastunet.plan import Plan, plan_of_stopped
from fastunet.planner.reasons import Reason, load_reasons
from fastunet.runs.contents import PLAN, REASONS
from fastunet.runs.run_folder import RunFolder


@dataclass(frozen=True)
class Run:
    """A finished training: its folder, what was done and why, and what the model scores."""

    folder: Path
    plan: Plan  # with all that was decided
    reasons: tuple[Reason, ...]  # of what was chosen
    scores: Evaluation  # on the test part where there is one, else on the validation part

    def segmenter(self, **options: Any) -> Segmenter:
        """The model; options as in `Segmenter.load`."""
        return Segmenter.load(self.folder, **options)

    def __str__(self) -> str:
        """The plan's reasons and the score card."""
        why = "\n".join(f"  {one}" for one in self.reasons)
        return f"{self.folder}\n{why}\n{self.scores}" if why else f"{self.folder}\n{self.scores}"


def train(
    data: str | os.PathLike | None = None,  # folder of images and masks, or a table
    *,
    out: str | os.PathLike | None = None,  # a new folder; None: runs/DATA-1, -2, ...
    overwrite: bool = False,  # replace a run that is in `out`
    resume: str | os.PathLike | None = None,  # instead of data: a run that was stopped goes on
    **options: Any,  # of a plan: the user's word, which the planner leaves alone
) -> Run:
    """Train a U-Net on a folder of images and masks in so many minutes; nothing else to decide.

    Network, size or patches, views, batch and the rest are chosen from the data, the machine and
    `minutes`, each with its reason. The folder holds the model (a bundle), `plan.json`, the scores
    and the pictures, and a run that is stopped goes on with `resume`. The same as `fastunet train`.

    Raises `OptionError` for options that are not possible, `OutputError` for a folder that cannot
    be taken, and what reading the data raises.

    >>> run = fastunet.train("cells", minutes=10)
    >>> run.segmenter().predict("photo.jpg")
    """
    started = time.perf_counter()
    if (data is None) == (resume is None):
        raise OptionError("Either data= or resume= was expected, the one or the other.")
    claim: AbstractContextManager[RunFolder]
    if resume is not None:
        if out is not None or overwrite:
            raise OptionError("resume= goes on in the run's own folder: no out=, no overwrite=.")
        plan = plan_of_stopped(resume, options)
        claim = RunFolder.resume(resume)
    else:
        plan = Plan.of(data=data, **options)
        claim = RunFolder.claim_for(plan.files.data, out, overwrite)
    anew = resume is None or "minutes" in options
    backend = matplotlib.get_backend()
    try:
        matplotlib.use("Agg")  # pictures go to files
        with claim as folder:
            plan.from_anywhere().save(folder.work / PLAN)
            scores = training.train(plan, folder, started, folder.command, anew=anew)
    finally:
        matplotlib.use(backend)
    done = folder.path
    return Run(done, Plan.load(done / PLAN), load_reasons(done / REASONS), scores)
