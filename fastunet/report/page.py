"""The page of a run: `report.html`, one file that needs nothing beside it."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from fastunet._util.files import write_atomically
from fastunet.errors import EvaluationError
from fastunet.evaluation.evaluate import evaluate
from fastunet.evaluation.result import Evaluation
from fastunet.inference import Segmenter
from fastunet.io.library_messages import gathered_messages
from fastunet.pairs.find import find_pairs
from fastunet.pairs.pair import Pair
from fastunet.pairs.split import load_split
from fastunet.plan import Plan
from fastunet.report.gathered import gather
from fastunet.report.sections import values
from fastunet.report.wording import FILTERS
from fastunet.runs.contents import PLAN, REPORT, SPLIT, unfinished


def write_report(
    run: Path,  # the folder of a run, finished or about to be
    segmenter: Segmenter,
    parts: Mapping[str, Sequence[Pair]],  # "train", "valid" and "test"
    scores: Mapping[str, Evaluation],  # of "valid", and of "test" where there is one
    *,
    seconds: float | None = None,  # that it may take; None: as long as it does
) -> Path:
    """Write `report.html` into the folder of a run, whole or not at all. Returns its path.

    The score that it begins with is that of the test part where there is one. Where time is short
    fewer images are looked at, and the page says so; the worst one always is.
    """
    with warnings.catch_warnings(), gathered_messages():
        warnings.simplefilter("ignore")  # the run itself has warned of its files
        found = gather(run, segmenter, parts, scores, seconds)
    templates = Environment(
        loader=ChoiceLoader(
            [PackageLoader("fastunet.report", "."), PackageLoader("fastunet.checks", ".")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    templates.filters |= FILTERS
    page = templates.get_template("report.html.jinja").render(values(found))
    write_atomically(run / REPORT, page.encode("utf-8", "replace"))
    return run / REPORT


def report(
    run: str | os.PathLike,  # the folder of a finished run
    data: str | os.PathLike | None = None,  # the data folder, where it has moved
    *,
    seconds: float | None = None,  # as in `write_report`
) -> Path:
    """Make the page of a finished run again, from its folder and its data. Returns its path.

    Raises `BundleError` where the folder holds no model, `EvaluationError` where the run is not
    finished or does not say where its data are, `SplitError` where these have changed.

    >>> report("runs/cells-1")
    """
    run = Path(run)
    if why := unfinished(run):
        raise EvaluationError(f"{why} A report is made of a finished run.")
    segmenter = Segmenter.load(run)
    parts = _parts(run, data)
    if (run / "evaluation").is_dir():
        evaluation = Evaluation.load(run / "evaluation")
    else:
        part = "test" if parts["test"] else "valid"
        evaluation = evaluate(segmenter, parts[part], part)
    return write_report(run, segmenter, parts, {evaluation.split: evaluation}, seconds=seconds)


def _parts(run: Path, data: str | os.PathLike | None) -> Mapping[str, Sequence[Pair]]:
    if not (run / SPLIT).is_file():
        raise EvaluationError(
            f"{run} has no {SPLIT}: the folder of a training run was expected. A bundle alone is "
            "scored by fastunet evaluate."
        )
    if data is not None:
        return load_split(find_pairs(data), run / SPLIT)
    plan = Plan.load(run / PLAN)
    pairs = find_pairs(*plan.files.words, missing_ok=plan.input.skip_bad)
    return load_split(pairs, run / SPLIT)
