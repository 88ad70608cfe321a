"""Names of strangers in a spreadsheet."""

import csv
import io
from dataclasses import replace

import pandas as pd
import pytest

from fastunet.evaluation.spreadsheet import as_csv, escape

FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\n=1", " =1", '=cmd|"/C x"!A0']


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text(text):
    assert escape(text) == f"'{text}"
    rows = list(csv.reader(io.StringIO(as_csv(pd.DataFrame({text: [text]})).decode(), newline="")))
    assert rows == [[f"'{text}"], [f"'{text}"]]


@pytest.mark.parametrize("cell", ["a=b", "x-1.png", "-1", "+2.5e-3", "", -1, -0.5, None, "'=1"])
def test_all_else_stays_as_it_is(cell):
    assert escape(cell) == cell
    assert type(escape(cell)) is type(cell)


def test_a_name_begins_no_row_of_its_own():
    table = as_csv(pd.DataFrame({"name": ["a\r=1+1", "b\n=1+1"]})).decode()
    rows = list(csv.reader(io.StringIO(table, newline="")))
    assert rows == [["name"], ["a\\r=1+1"], ["b\n=1+1"]]


def test_numbers_are_read_back_as_numbers():
    table = pd.DataFrame(
        {"name": ["=a", "b"], "low": [-0.25, 1e-9], "n": [3, -4], "no": [None] * 2}
    )
    again = pd.read_csv(io.BytesIO(as_csv(table)))
    assert list(again.name) == ["'=a", "b"]
    pd.testing.assert_frame_equal(again[["low", "n"]], table[["low", "n"]])
    assert again.no.isna().all()


def test_the_tables_of_an_evaluation_hold_no_formula(scored, tmp_path):
    found = scored(2, classes=2)
    found = replace(found, names=("=1.png", "-2.png"), classes=("@a", "b"), groups=("+x", ""))
    found.save(tmp_path)
    for name in ("per_image.csv", "per_class.csv"):
        with (tmp_path / name).open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "@", "+", "-"))]
    assert pd.read_csv(tmp_path / "per_image.csv").image.tolist() == ["'=1.png", "'-2.png"]
