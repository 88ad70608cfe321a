"""A report as text and as plain data."""

import json
from pathlib import Path

import pytest

from fastunet import Audit
from fastunet.checks.finding import Finding

ROOT = Path("/data/my cells")
ERROR = Finding("error", "truncated", "1 file ends early: a.png.", "Copy it again.", ("a.png",), 1)
NOTE = Finding("note", "groups", "The images come in 3 groups.", "Split by group.", count=3)


def report(findings=(), **how) -> Audit:
    return Audit(ROOT, ROOT, "images + masks", 3, {"train": 2, "valid": 1}, findings, **how)


def test_the_text_says_what_the_data_are_what_is_wrong_and_what_to_type():
    assert str(report((ERROR, NOTE), options="--void 255")).split("\n") == [
        "data      /data/my cells",
        "layout    images + masks",
        "pairs     3 (2 train, 1 valid)",
        "",
        "Errors (1)",
        "  truncated: 1 file ends early: a.png.",
        "      -> Copy it again.",
        "",
        "Notes (1)",
        "  groups: The images come in 3 groups.",
        "      -> Split by group.",
        "",
        "1 error to mend. Then: fastunet audit '/data/my cells' --void 255",
    ]


def test_only_errors_make_a_report_not_ok():
    assert report((NOTE,)).ok
    assert not report((ERROR, NOTE)).ok
    assert report((ERROR, NOTE)).errors == (ERROR,)


def test_a_quick_report_promises_no_more_than_it_saw():
    last = str(report(quick=True)).splitlines()[-1]
    assert last == "No errors in names and headers. Next: fastunet train '/data/my cells'"


@pytest.mark.parametrize(
    ("channels", "bit_depth", "said"),
    [(1, 8, "1 channel, 8 bit"), ((1, 3), (8, 16), "1 or 3 channels, 8 or 16 bit")],
)
def test_images_of_several_kinds_are_told(channels, bit_depth, said):
    text = str(report(sizes={"64x48": 3}, channels=channels, bit_depth=bit_depth))
    assert f"images    64x48 (height x width), {said}" in text


def test_of_many_classes_the_table_shows_forty():
    names = tuple(f"class{i}" for i in range(50))
    shares = dict.fromkeys(names, 0.02)
    text = str(report(classes=names, class_frequencies={"train": shares, "valid": shares}))
    assert "% of pixels    train    valid" in text
    assert "class39         2.00     2.00\n... and 10 more" in text
    assert "class40" not in text


def test_the_dictionary_is_plain_json():
    said = report((ERROR,), channels=(1, 3), bit_depth=8, void=(255,), classes=("a", "b")).to_dict()
    assert json.loads(json.dumps(said)) == said
    assert (said["channels"], said["bit_depth"], said["void"]) == ([1, 3], 8, [255])
    assert said["findings"] == [ERROR.to_dict()]
    assert said["resolution"] is None
