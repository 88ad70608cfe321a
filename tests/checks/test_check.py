"""What checks look at, how they make a finding, and when they run."""

from pathlib import Path

from fastunet import MaskCodec, Pair
from fastunet.checks.check import CheckContext, check

ROOT = Path("/data")


def context(**how) -> CheckContext:
    return CheckContext(ROOT, [], [], **how)


def test_files_are_named_from_the_data_folder_and_those_outside_in_full():
    assert context().names([ROOT / "images/a.png", Path("/cache/b.png")]) == (
        "images/a.png",
        "/cache/b.png",
    )


def test_a_finding_names_three_files_and_keeps_all():
    files = [ROOT / f"{i}.png" for i in range(5)]
    [finding] = context().report("note", "some", "See {files}.", "Look.", files)
    assert finding.message == "See 0.png, 1.png, 2.png and 2 more."
    assert finding.count == len(finding.files) == 5
    assert next(context().report("note", "some", "Three.", "Look.", n=3)).count == 3


def test_things_are_counted_with_the_words_for_one_or_several_and_of_none_nothing_is_said():
    def said(n):
        found = context().report("note", "some", "{n:mask is|masks are} {how}.", "", n=n, how="{x}")
        return [finding.message for finding in found]

    assert said(0) == []
    assert said(1) == ["1 mask is {x}."]
    assert said(3) == ["3 masks are {x}."]


def test_a_name_that_looks_like_a_placeholder_is_left_alone():
    files = [ROOT / "{n}{files}.png"]
    [finding] = context().report("note", "a", "See {files}.", "Look.", files)
    assert finding.message == "See {n}{files}.png."


def test_what_is_known_grows_with_what_was_read():
    codec = MaskCodec(("ground", "crack"), (0, 255))
    assert context(quick=True).known == ("headers",)
    assert context().known == ("headers", "pixels")
    assert context(codec=codec).known == ("headers", "pixels", "codec")


def test_the_parts_of_the_split_come_in_their_usual_order():
    pairs = [Pair(ROOT / "a", ROOT / "b", part) for part in ("test", "train")]
    assert CheckContext(ROOT, pairs, []).splits == ["train", "test"]
    assert context().splits == []


def test_a_registered_check_is_called_like_the_function_that_it_was():
    @check(needs="pixels")
    def check_nothing(context: CheckContext):
        yield from context.report("note", "nothing", "Nothing.", "Nothing.", n=1)

    assert check_nothing.needs == "pixels"
    assert [finding.code for finding in check_nothing(context())] == ["nothing"]
