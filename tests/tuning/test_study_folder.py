"""A search's folder belongs to one process, and remembers what was asked for."""

from pathlib import Path

import pytest

from fastunet.errors import OutputError
from fastunet.plan import Plan
from fastunet.tuning.study_folder import Search, StudyFolder


def test_it_remembers_what_was_asked_for(in_tmp):
    base = Plan.of(data="cells", size=64, loss="ce")
    search = Search(base, {"lr": [0.1, 0.01, 1]}, 20.0, 16, 48, 30.0, None, "fastunet tune", 7.5)
    with StudyFolder.claim("t") as folder:
        folder.write(search)
    with StudyFolder.resume("t") as folder:
        assert folder.read() == search
        (in_tmp / "t/tune.json").write_text('{"plan": {}}')
        with pytest.raises(OutputError, match="is damaged"):
            folder.read()


def test_no_two_processes_share_one_and_an_empty_one_goes(in_tmp):
    with StudyFolder.claim("t") as folder:
        folder.write(Search(Plan.of(data="cells"), {}, 1, 1, 1, 1, None))
        with pytest.raises(OutputError, match="Another training is writing to t"):
            StudyFolder.resume("t").__enter__()
    with pytest.raises(OutputError, match="To go on with the search in it: --resume t"):
        StudyFolder.claim("t").__enter__()
    claims = [StudyFolder.claim_next(Path("runs"), "a") for _ in range(2)]
    with claims[0] as first, claims[1] as second:
        assert (first.path, second.path) == (Path("runs/a-1"), Path("runs/a-2"))
    assert list(Path("runs").iterdir()) == []  # nothing was written
