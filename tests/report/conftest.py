"""A finished run in a folder: an untrained network, its scores, and what a training writes."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Made:
    folder: Path
    data: Path
    parts: dict
    segmenter: object
    scores: dict


@pytest.fixture
def finished_run(in_tmp, write_pairs, write_bundle):
    """Make one; returns its folder, data, parts, segmenter and scores by part."""

    def make(values=(0, 255), n=12, size=(40, 48), test_pct=0.25, name="run") -> Made:
        from fastunet.evaluation.evaluate import evaluate
        from fastunet.inference import Segmenter
        from fastunet.pairs.find import find_pairs
        from fastunet.pairs.split import save_split, split_pairs
        from fastunet.plan import Plan

        data = write_pairs(n, values, size)
        folder = in_tmp / write_bundle(name, values)
        parts = split_pairs(find_pairs(data), 0.25, test_pct=test_pct)
        save_split(parts, folder / "split.json")
        Plan.of(data=data, epochs=5, size=24, test_pct=test_pct).save(folder / "plan.json")
        rows = [f"{i},{1 / (i + 1)},{1.2 / (i + 1)},{0.1 * i},00:0{i + 1}" for i in range(5)]
        history = "\n".join(["epoch,train_loss,valid_loss,dice,time", *rows]) + "\n"
        (folder / "history.csv").write_text(history)
        record = {"format": 1, "fastunet": "0.1.0", "status": "finished"}
        (folder / "run.json").write_text(json.dumps(record))
        segmenter = Segmenter.load(folder)
        wanted = [part for part in ("valid", "test") if parts[part]]
        scores = {p: evaluate(segmenter, parts[p], p, progress=False) for p in wanted}
        scores[wanted[-1]].save(folder / "evaluation")
        return Made(folder, data, parts, segmenter, scores)

    return make
