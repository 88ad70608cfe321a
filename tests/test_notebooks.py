"""The tutorials run from top to bottom, as a reader runs them."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "nbs").glob("*.ipynb"))


@pytest.mark.slow  # .ci/run executes them in a step of its own
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # a notebook chooses its own
    content = nbformat.read(notebook, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(content, timeout=300, kernel_name="python3", resources=resources).execute()
    pictures = [
        output
        for cell in content.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert pictures


def test_there_are_the_tutorials_that_the_readme_names():
    readme = (NOTEBOOKS[0].parents[1] / "README.md").read_text()
    assert NOTEBOOKS
    assert all(f"nbs/{notebook.name}" in readme for notebook in NOTEBOOKS)
