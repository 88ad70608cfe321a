"""The checks that there are."""

import importlib
from pathlib import Path

from fastunet.checks import all_checks
from fastunet.checks.all_checks import CHECKS, run_checks
from fastunet.checks.check import Check, CheckContext


def test_every_check_of_every_module_is_run():
    folder = Path(all_checks.__file__).parent
    names = [file.stem for file in folder.glob("check_*.py")]
    modules = [importlib.import_module(f"fastunet.checks.{name}") for name in names]
    defined = [one for module in modules for one in vars(module).values() if isinstance(one, Check)]
    assert len(defined) == len(CHECKS)
    assert all(one in CHECKS for one in defined)


def test_a_check_runs_only_where_what_it_needs_has_been_read(monkeypatch):
    def finds(needs):
        return Check(needs, lambda context: context.report("note", needs, "", "", n=1))

    monkeypatch.setattr(all_checks, "CHECKS", [finds("codec"), finds("headers"), finds("pixels")])
    for quick, codes in ((True, ["headers"]), (False, ["headers", "pixels"])):
        found = run_checks(CheckContext(Path(), [], [], quick=quick))
        assert [finding.code for finding in found] == codes


def test_no_pairs_are_no_findings():
    assert run_checks(CheckContext(Path(), [], [])) == []
