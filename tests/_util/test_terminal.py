"""Options as they are typed, and bars only where they can be drawn."""

import pytest

from fastunet._util.terminal import (
    as_typed,
    hide_bars,
    is_printable,
    options,
    printable,
    say,
    shown,
)

NAMES = ("classes", "void", "unknown", "instances", "bs", "images", "masks", "weights", "groups")


@pytest.mark.parametrize(
    ("python", "typed"),
    [
        ('pass unknown="void" to go on', "pass --unknown void to go on"),
        ("say it with classes= or void=.", "say it with --classes or --void."),
        ("images=..., masks=...", "--images ..., --masks ..."),
        ("instances=True or not", "--instances or not"),
        ('classes=["soil", "sugar beet"]', "--classes 'soil,sugar beet'"),
        ("classes={\"name\": '#ff0000', ...}, and", "--classes name=#ff0000,..., and"),
        ("void=[7, 9]", "--void 7 --void 9"),
        ("bs=99, but 6. Pass bs=6.", "--bs 99, but 6. Pass --bs 6."),
        ("weights=PATH (--weights PATH); or", "--weights PATH; or"),
        ('groups="auto" (--groups auto) keeps', "--groups auto keeps"),
        ("available_encoders('*net*') lists them", "fastunet encoders '*net*' lists them"),
    ],
)
def test_what_python_writes_is_shown_as_it_is_typed(python, typed):
    assert as_typed(python, NAMES) == typed


@pytest.mark.parametrize(
    "text",
    [
        "/data/bs=256/x.png: cannot be decoded",
        "bs=256/x.png: cannot be decoded",
        "masks=old/x.png does not exist",
        "mask_values=[0, 1]",
        "--classes a=1,void=2x",
        "an image of 3x4 pixels",
    ],
)
def test_names_of_files_and_other_words_stay_as_they_are(text):
    assert as_typed(text, NAMES) == text


def test_options_are_written_as_the_command_line_reads_them():
    values = {
        "classes": {"soil": 0, "crop": "#00ff00"},
        "void": [7, "#ffffff"],
        "valid_pct": 0.3,
        "pretrained": False,
        "instances": True,
        "images": None,
    }
    assert options(values) == [
        "--classes",
        "soil=0,crop=#00ff00",
        "--void",
        "7",
        "--void",
        "#ffffff",
        "--valid-pct",
        "0.3",
        "--no-pretrained",
        "--instances",
    ]
    assert options({"classes": ["soil", "crop"]}) == ["--classes", "soil,crop"]


def test_bars_are_hidden_in_a_dumb_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert hide_bars() is True
    monkeypatch.setenv("TERM", "xterm")
    assert hide_bars() is None


# --- names of strangers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\rb\bc\x07", "a\\rb\\x08c\\x07"),
        ("\x9b31m", "\\x9b31m"),  # an escape sequence in one character
        ("gnp.\u202eexe", "gnp.\\u202eexe"),  # shown as exe.png
        ("half \ud83d", "half \\ud83d"),
        ("two\u2028lines", "two\\u2028lines"),
    ],
)
def test_what_moves_the_cursor_or_hides_is_spelled_out(text, spelled, capsys):
    assert not is_printable(text)
    assert printable(text) == spelled
    say(text, 1)
    assert capsys.readouterr().out == f"{spelled} 1\n"


@pytest.mark.parametrize(
    "text", ["", "Größe", "細胞　核", "خلیه‌ها", "शब्द", "👩‍🔬", "a\u00a0b", "−µm²"]
)
def test_every_script_is_printable(text):
    assert is_printable(text)
    assert printable(text) == text


def test_lines_and_tabs_of_a_table_stay():
    assert printable("a\tb\nc") == "a\tb\nc"


def test_a_value_is_shown_short_and_on_one_line():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 10**6)) < 80
    assert shown(deep) == "a list"
    assert shown(10**10_000) == "a int"
