"""What is read of a run folder."""

import json
import math

import pytest

from fastunet.plan import Clock, Plan
from fastunet.report.run_record import RunRecord


def test_the_history_is_read_by_column_and_times_as_seconds(finished_run):
    run = RunRecord.of(finished_run().folder)
    assert run.epochs == 5
    assert run.history["dice"][-1] == pytest.approx(0.4)
    assert run.history["time"] == [1, 2, 3, 4, 5]
    assert run.seconds == 15
    assert run.scores == ["dice"]
    assert run.unread == []


def test_the_rate_is_fastais_one_cycle(finished_run):
    from fastai.callback.schedule import combined_cos

    made = finished_run()
    run = RunRecord.of(made.folder)
    cycle = combined_cos(0.25, 0.003 / 25, 0.003, 0.003 / 1e5)
    assert run.rates[0][0] == 0
    assert run.rates[-1][0] == 5
    for epoch, rate in run.rates:
        assert rate == pytest.approx(cycle(epoch / 5), rel=1e-5)  # fastai's are float32


def test_the_rate_of_a_run_by_the_clock_is_that_of_its_steps(finished_run):
    made = finished_run()
    steps = ((0, 100_000, 250_000), (500_000, 1_000_000))
    plan = Plan.of(clock=Clock(3, steps), data=made.data, minutes=1)
    plan.save(made.folder / "plan.json")
    rates = RunRecord.of(made.folder).rates
    assert max(rates, key=lambda place: place[1]) == (pytest.approx(0.8), pytest.approx(0.003))
    assert rates[-1][1] == pytest.approx(0.003 / 1e5)


def test_a_folder_with_nothing_is_a_record_of_nothing(tmp_path):
    run = RunRecord.of(tmp_path)
    assert (run.plan, run.epochs, run.rates, run.best_epoch) == (None, 0, [], None)
    assert math.isnan(run.seconds)
    assert run.unread == []


def test_a_run_that_replaces_another_says_where_it_will_be(tmp_path):
    beside = tmp_path / "cells.new"
    beside.mkdir()
    assert RunRecord.of(beside).place == beside
    (beside / ".temporary").touch()
    assert RunRecord.of(beside).place == tmp_path / "cells"


def test_skipped_pairs_are_counted(tmp_path):
    (tmp_path / "skipped.json").write_text(json.dumps({"format": 1, "skipped": [{}, {}]}))
    assert RunRecord.of(tmp_path).skipped == 2
