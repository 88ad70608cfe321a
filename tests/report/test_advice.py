"""Advices: each from a measured fact, with its number; what brings most comes first."""

from pathlib import Path

import numpy as np
import pytest

from fastunet.callback.diagnosis import Diagnosis
from fastunet.checks.finding import Finding
from fastunet.checks.report import Audit
from fastunet.evaluation.scorer import Scorer
from fastunet.report.advice import ADVICES, Facts, advices
from fastunet.report.mistakes import Mistakes
from fastunet.report.run_record import RunRecord


def scored(pairs, classes=("background", "cell"), split="test", threshold=0.5, **more):
    scorer = Scorer(classes)
    for i, (truth, prediction) in enumerate(pairs):
        scorer.add(f"{i}.png", prediction, truth, **more)
    return scorer.result(split, threshold if len(classes) == 2 else None)


def squares(wrong: int = 0):
    """A truth of a square, and a prediction that misses so many of its rows."""
    truth = np.zeros((40, 40), np.uint8)
    truth[10:30, 10:30] = 1
    prediction = truth.copy()
    prediction[10 : 10 + wrong] = 0
    return truth, prediction


def facts(evaluation, history=None, **more) -> Facts:
    return Facts(RunRecord(Path("run"), history=history or {}), evaluation, **more)


def titles(of: Facts) -> list[str]:
    return [one.title for one in advices(of)]


def test_of_a_perfect_model_there_is_nothing_to_say():
    assert titles(facts(scored([squares()] * 20))) == []


def test_leaks_and_diagnoses_come_first():
    finding = Finding("error", "duplicate-across-splits", "2 images are twice.", "Keep one.")
    audit = Audit(Path(), Path(), "", 2, {}, (finding,))
    of = facts(scored([squares(10)] + [squares()] * 19), audit=audit)
    of.run.diagnoses = [Diagnosis("overfitting", "it rose.", "Stop earlier.")]
    found = advices(of)
    assert [one.title for one in found[:2]] == ["Keep copies in one part", "Overfitting"]
    assert found[0].text == "2 images are twice. Keep one."
    assert all(one.urgent for one in found[:2])
    assert "Look at the worst images" in [one.title for one in found[2:]]


def test_what_the_worst_images_cost_is_the_score_without_them():
    of = facts(scored([squares(10)] + [squares()] * 19))
    advice = next(one for one in advices(of) if one.title == "Look at the worst images")
    assert advice.gain == pytest.approx(1 - of.evaluation.dice)
    assert "0.png" in advice.text
    assert "1.000" in advice.text


def test_another_threshold_is_named_with_what_it_gives():
    truth, _ = squares()
    probability = np.where(truth == 1, 0.4, 0.1).astype(np.float32)[None]
    prediction = np.zeros_like(truth)
    prediction[10:20, 10:30] = 1
    one = scored([(truth, prediction)], probabilities=probability)
    advice = next(a for a in advices(facts(one)) if a.title == "Look at the threshold")
    assert advice.gain == pytest.approx(1 - one.dice)
    assert f"in use is 0.50 with {one.dice:.3f}" in advice.text


def test_a_score_that_still_rises_asks_for_a_longer_training():
    one = scored([squares(5)] * 3)
    rising = {"epoch": [0, 1, 2, 3], "dice": [0.1, 0.3, 0.5, 0.6]}
    advice = next(a for a in advices(facts(one, rising)) if a.title == "Train longer")
    assert advice.gain == pytest.approx(0.1)
    assert "epochs=8" in advice.text
    done = {"epoch": [*range(8)], "dice": [0.1, 0.3, 0.6, 0.6, 0.6, 0.6, 0.59, 0.6]}
    assert "Train longer" not in titles(facts(one, done))


def test_two_classes_that_are_mixed_up_and_those_never_found_are_named():
    truth = np.repeat(np.arange(4, dtype=np.uint8), 10)[None]
    prediction = truth.copy()
    prediction[truth == 2] = 1
    prediction[0, 10:14] = 2
    one = scored([(truth, prediction)], ("sky", "road", "path", "tree"))
    named = {a.title: a for a in advices(facts(one))}
    mixed = named["Tell road from path"]
    assert mixed.gain == pytest.approx(1 - one.dice)
    assert "100 % of the wrong pixels" in mixed.text
    assert named["Find path"].gain == pytest.approx(1 / 4)  # as good as the median of the others


def test_small_objects_that_are_missed_are_counted():
    truth = np.zeros((200, 200), np.uint8)
    for row in range(25):
        truth[8 * row : 8 * row + 2, 2:4] = 1
    truth[50:100, 50:100] = 1
    prediction = truth.copy()
    prediction[:, 2:4] = 0
    mistakes = Mistakes(2)
    mistakes.add(truth, prediction)
    one = scored([(truth, prediction)])
    found = advices(facts(one, mistakes=mistakes))
    advice = next(a for a in found if a.title == "Find small objects")
    assert "Of 25 objects below 4 pixels" in advice.text
    assert "25 are missed, 100 % of all missed pixels" in advice.text
    assert advice.gain == pytest.approx(1 - one.dice)


def test_a_score_of_few_images_or_a_wide_interval_asks_for_more_images():
    few = next(a for a in advices(facts(scored([squares()] * 2))) if "more images" in a.title)
    assert "2 images" in few.text
    wide = scored([squares(18), squares(1)] * 6)
    low, high = wide.intervals["dice"]
    text = next(a.text for a in advices(facts(wide)) if "more images" in a.title)
    assert f"about {(high - low) / 2:.3f} either way" in text


def test_suspected_labels_are_named():
    of = facts(scored([squares()] * 3))
    of.run.label_errors = [{"image": "a.png", "score": "0.9"}, {"image": "a.png", "score": "0.8"}]
    text = next(a.text for a in advices(of) if "label errors" in a.title)
    assert "2 places in 1 image" in text


def test_gains_fall_and_small_ones_are_left_out():
    finding = Finding("error", "near-duplicate-across-splits", "m", "r")
    pairs = [squares(18), squares(3), *[squares(2)] * 18]
    rising = {"epoch": [0, 1, 2, 3], "dice": [0.1, 0.3, 0.5, 0.502]}
    audit = Audit(Path(), Path(), "", 2, {}, (finding,))
    found = advices(facts(scored(pairs, split="valid"), rising, audit=audit))
    gains = [one.gain or 0 for one in found if not one.urgent]
    assert gains == sorted(gains, reverse=True)
    assert "Train longer" not in [one.title for one in found]  # 0.002
    assert found[-1].gain is None
    assert len(ADVICES) == len({*ADVICES})


def test_a_training_that_hardly_began_and_predicts_one_class_says_so_first():
    truth, _ = squares()
    of = facts(scored([(truth, np.ones_like(truth))] * 3), {"epoch": [0], "dice": [0.1]})
    of.run.training = {"images": {"train": 12}, "bs": 4}
    first, second = advices(of)[:2]
    assert first.title == "Train longer"
    assert "Only 3 batches were trained, in 1 epoch" in first.text
    assert "100 % of the pixels are predicted as cell; 25 % are." in second.text
