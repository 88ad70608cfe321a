"""What is said of photos whose size does not tell how they are turned."""

from pathlib import Path

import pytest

from fastunet import Pair
from fastunet.checks.check import CheckContext
from fastunet.checks.check_orientation import check_orientation
from fastunet.scan.agreement import Agreement
from fastunet.scan.pair_stats import PairStats

UPRIGHT, STORED = Agreement(0.9, 0.1), Agreement(0.1, 0.9)


def findings(agreement: Agreement | None, **how) -> list:
    stats = [
        PairStats(
            Pair(Path(f"{i}.jpg"), Path(f"{i}.png")), turn=6, undecided=True, agreement=agreement
        )
        for i in range(8)
    ]
    return list(check_orientation(CheckContext(Path(), [f.pair for f in stats], stats, **how)))


@pytest.mark.parametrize(
    ("agreement", "severity", "said"),
    [
        (STORED, "error", "as stored"),
        (UPRIGHT, "note", "They are read turned upright."),
        (None, "warning", "(without --quick, their contents are compared)"),
        (Agreement(0.5, 0.5), "warning", "They are read upright."),
    ],
)
def test_contents_decide_and_nobody_guesses_against_them(agreement, severity, said):
    (finding,) = findings(agreement)
    assert (finding.code, finding.severity) == ("exif-orientation", severity)
    assert said in finding.message
    assert len(finding.files) == 8


def test_nothing_is_said_where_the_user_has_said_it():
    assert findings(STORED, orientation="stored") == []
