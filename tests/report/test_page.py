"""The page of a run: it stands alone, is small, and says the true numbers."""

import json
import re
import shutil
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from fastunet.callback.diagnosis import Diagnosis, save_diagnoses
from fastunet.errors import EvaluationError, SplitError
from fastunet.report.page import report, write_report

ALONE = {"meta", "link", "image", "use", "line", "path", "rect", "circle", "br"}  # without an end


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.sources, self.ids, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.sources += [given[name] for name in ("src", "href") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in ALONE:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(page) -> Tags:
    tags = Tags()
    tags.feed(page.read_text("utf-8"))
    assert tags.open == []
    tags.text = " ".join(tags.text.split())
    return tags


def test_the_page_stands_alone_is_small_and_names_its_parts(finished_run):
    made = finished_run()
    page = report(made.folder)
    assert page == made.folder / "report.html"
    tags, text = read(page), page.read_text()
    assert page.stat().st_size < 5_000_000
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert all(source.startswith(("data:", "#")) for source in tags.sources)
    assert {source[1:] for source in tags.sources if source[0] == "#"} <= {*tags.ids}
    assert len(tags.ids) == len({*tags.ids})
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text
    assert not list(made.folder.glob(".report*"))


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2)])
def test_its_numbers_are_those_of_the_evaluation(finished_run, values):
    made = finished_run(values)
    page = write_report(made.folder, made.segmenter, made.parts, made.scores)
    text, one = read(page).text, made.scores["test"]
    low, high = one.intervals["dice"]
    assert f"is {one.dice:.3f} on 3 images of the test part" in text
    assert f"with a 95 % interval from {low:.3f} to {high:.3f}." in text
    for row in one.per_class:
        assert f"{row.dice:.3f}" in text
    assert f"{made.scores['valid'].dice:.3f}" in text
    for name, dice in one.worst(3):
        assert f"{name} Dice {dice:.3f}" in text
    share = one.confusion[1, 0] / one.confusion[1].sum()
    assert (f"{100 * share:.0f}" if share >= 0.0995 else f"{100 * share:.1f}") in text
    assert "6 training, 3 validation, 3 test" in text


def test_many_classes_have_a_table_that_stays_small(finished_run):
    made = finished_run(tuple(range(120)), n=6)
    page = write_report(made.folder, made.segmenter, made.parts, made.scores)
    text = read(page).text
    assert "The 40 classes with the most pixels are shown" in text
    assert page.stat().st_size < 1_000_000


def test_a_run_without_a_test_part_says_what_chose_the_model(finished_run):
    made = finished_run(test_pct=0.0)
    text = read(report(made.folder)).text
    assert "3 images of the validation part" in text
    assert "chosen on these images, so that the score is a little too good" in text


def test_all_that_other_parts_of_the_run_left_is_shown(finished_run):
    made = finished_run()
    reasons = [{"field": "size", "value": 24, "reason": "small cells", "fact": "median 12 px"}]
    (made.folder / "reasons.json").write_text(json.dumps(reasons))
    real = made.parts["train"][0].image.name
    errors = f"image,score,kind,area,row,column\n{real},0.95,invented,99,30,40\n"
    errors += "bad-<b>.png,0.93,missing,120,4,5\n"
    (made.folder / "label_errors.csv").write_text(errors)
    images = [{"name": "x.png", "predicted": 0.81, "dice": 0.79}]
    predicted = {"part": "test", "mean_absolute_error": 0.0432, "rank_correlation": 0.77}
    (made.folder / "predicted_dice.json").write_text(json.dumps({**predicted, "images": images}))
    (made.folder / "folds.csv").write_text("fold,dice\n1,0.7123\n2,0.7345\n")
    save_diagnoses(
        [Diagnosis("overfitting", "the loss rose.", "Stop earlier.")],
        made.folder / "diagnoses.json",
    )
    page = report(made.folder)
    text = read(page).text
    for said in ("Small cells", "median 12 px", "bad-<b>.png", "0.043", "0.77", "0.7345"):
        assert said in text
    assert f"suspected {real} invented, score 0.95" in text
    assert "In the training the loss rose. Stop earlier." in text
    assert "<b>.png" not in page.read_text()


def test_what_is_damaged_is_named_and_the_rest_shown(finished_run):
    made = finished_run()
    (made.folder / "reasons.json").write_text("[1, 2")
    (made.folder / "history.csv").write_bytes(b"\xff\xfe\x00")
    text = read(report(made.folder)).text
    assert "reasons.json is damaged" in text
    assert "history.csv is damaged" in text
    assert f"{made.scores['test'].dice:.3f}" in text


def test_with_hardly_any_time_the_worst_image_is_shown_and_the_page_says_so(finished_run):
    made = finished_run()
    page = write_report(made.folder, made.segmenter, made.parts, made.scores, seconds=0)
    text = read(page).text
    assert made.scores["test"].worst(1)[0][0] in text
    assert "since time was short" in text
    assert "1 image is shown instead of 3" in text


def test_names_of_users_are_no_markup(finished_run):
    made = finished_run(name="run & <script>alert(1)<")
    text = report(made.folder).read_text()
    assert "<script>alert" not in text
    assert "<title>run &amp; &lt;script&gt;alert(1)&lt;</title>" in text


def test_a_run_that_has_moved_finds_its_data_where_it_is_told(finished_run, in_tmp):
    made = finished_run()
    shutil.move(made.data, in_tmp / "elsewhere")
    assert "worst" in read(report(made.folder, in_tmp / "elsewhere")).text


def test_other_data_are_refused(finished_run, write_pairs):
    made = finished_run()
    with pytest.raises(SplitError, match="other pairs"):
        report(made.folder, write_pairs(3, folder="other"))


def test_a_bundle_without_a_run_is_refused_with_what_to_do(write_bundle, in_tmp):
    with pytest.raises(EvaluationError, match="fastunet evaluate"):
        report(in_tmp / write_bundle())


def test_an_image_that_cannot_be_read_is_told_and_the_scores_stay(finished_run):
    made = finished_run()
    worst = made.scores["test"].worst(1)[0][0]
    next(made.data.rglob(f"images/{worst}")).write_bytes(b"\x89PNG cut")
    text = read(write_report(made.folder, made.segmenter, made.parts, made.scores)).text
    assert "Not all images could be looked at" in text
    assert f"{made.scores['test'].dice:.3f}" in text


def test_masks_without_any_foreground_make_a_page_without_a_score(finished_run):
    made = finished_run()
    for pair in made.parts["test"]:
        cv2.imwrite(str(pair.mask), np.zeros((40, 48), np.uint8))
    from fastunet.evaluation.evaluate import evaluate

    made.segmenter.threshold = 0.999999  # nothing is predicted either
    scores = {"test": evaluate(made.segmenter, made.parts["test"], "test", progress=False)}
    text = read(write_report(made.folder, made.segmenter, made.parts, scores)).text
    assert re.search(r"is absent on 3 images", text)


@pytest.mark.slow
def test_a_browser_shows_it_without_an_error_in_light_dark_and_on_a_phone(finished_run):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no Chromium on this machine")
    page = report(finished_run((0, 1, 2)).folder)
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for scheme, width in (("light", 1200), ("dark", 1200), ("light", 390)):
            shown = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
            said, asked = [], []
            shown.on("console", lambda message, said=said: said.append(message.text))
            shown.on("pageerror", lambda error, said=said: said.append(str(error)))
            shown.on("request", lambda request, asked=asked: asked.append(request.url))
            shown.goto(page.as_uri())
            assert said == []
            assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
            assert shown.evaluate("document.documentElement.scrollWidth") == width
            shown.locator(".panel").first.click()
            assert shown.locator(".panel.large").count() == 1
            shown.keyboard.press("Escape")
            assert shown.locator(".panel.large").count() == 0
        chromium.close()
