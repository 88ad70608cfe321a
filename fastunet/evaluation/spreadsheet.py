"""A table as CSV that a spreadsheet opens as data: no text in it is run as a formula.

Names of images and classes come from anyone, and a spreadsheet takes text that starts with `=`
for a formula, which may fetch or start something (OWASP, "CSV injection").
"""

from typing import TYPE_CHECKING

from fastunet._util.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

_STARTS = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")


def as_csv(frame: "pd.DataFrame") -> bytes:
    """The rows under their names. Text that would be a formula gets an apostrophe in front."""
    escaped = frame.rename(columns=escape).map(escape)
    return escaped.to_csv(index=False).encode("utf-8", "backslashreplace")


def escape(cell: object) -> object:
    """`=A1` as `'=A1`, which spreadsheets show as it was; numbers, as text too, stay.

    Control characters become codes: a carriage return would begin a row of its own.
    """
    if not isinstance(cell, str) or _is_number(cell):
        return cell
    text = printable(cell)
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
