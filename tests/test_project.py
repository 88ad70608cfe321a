"""Promises of the project as a whole: light imports, one name for a module, two commands."""

import ast
import configparser
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import pytest

import fastunet

ROOT = Path(__file__).resolve().parents[1]


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_fastunet_costs_no_torch():
    assert not loaded_after("import fastunet") & {"torch", "fastai", "numpy", "cv2"}


def test_the_help_of_the_command_line_costs_no_torch():
    assert not loaded_after("import fastunet.cli") & {"torch", "fastai", "cv2"}


def test_inference_imports_neither_fastai_nor_pandas_nor_matplotlib():
    loaded = loaded_after("import fastunet.inference")
    assert "torch" in loaded
    assert not loaded & {"fastai", "pandas", "matplotlib", "timm", "PIL.Image"}


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (["cv2/qt/plugins"], "its folder cv2 is empty"),
        ([], "there is no cv2"),
        (["opencv_python-4.12.0.dist-info"], "although opencv-python is installed"),
    ],
)
def test_an_opencv_that_another_one_took_along_is_told_at_import(tmp_path, left, said):
    (tmp_path / "fastunet-0.dist-info").mkdir()
    (tmp_path / "fastunet-0.dist-info" / "METADATA").write_text("Name: fastunet\nVersion: 0\n")
    for folder in left:
        (tmp_path / folder).mkdir(parents=True)
        if folder.endswith(".dist-info"):
            metadata = "Name: opencv-python\nVersion: 4.12.0\n"
            (tmp_path / folder / "METADATA").write_text(metadata)
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import fastunet"
    command = [sys.executable, "-I", "-S", "-c", code]  # without what is installed
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: OpenCV cannot be used")
    assert said in last
    kind = "opencv-python" if "although" in said else "opencv-python-headless"
    assert last.endswith(f"pip install --force-reinstall --no-deps {kind}")


def test_nothing_of_opencv_is_used_that_the_headless_build_lacks():
    used = {
        node.attr
        for file in (ROOT / "fastunet").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "cv2"
    }
    windows = {"imshow", "namedWindow", "waitKey", "destroyAllWindows", "selectROI"}
    assert "resize" in used
    assert not used & windows
    if not cv2.version.headless:
        pytest.skip("the OpenCV that is installed is not the headless build")
    assert not {name for name in used if not hasattr(cv2, name)}


def test_the_version_is_that_of_settings_ini():
    settings = configparser.ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini")
    assert fastunet.__version__ == settings["DEFAULT"]["version"]


@pytest.mark.parametrize(
    "command", ["pip install . && fastunet demo", 'pip install -e ".[dev]" && pytest']
)
def test_the_readme_and_ci_have_the_same_two_commands(command):
    assert command in (ROOT / "README.md").read_text()
    assert command in (ROOT / ".ci" / "run").read_text()


def test_git_ignores_none_of_the_sources():
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    listing = "git ls-files --others --ignored --exclude-standard -- '*.py' '*.ipynb'"
    ignored = subprocess.run(
        shlex.split(listing), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert [
        f for f in ignored if f.startswith(("fastunet/", "tests/", "nbs/", "benchmarks/"))
    ] == []


def modules_of(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*.py")) if not file.stem.startswith("__")]


def test_no_two_modules_have_one_name():
    names = Counter(file.stem for file in modules_of(ROOT / "fastunet"))
    assert [name for name, count in names.items() if count > 1] == []


def test_the_tests_stand_where_the_modules_stand():
    rooms = {file.parent.relative_to(ROOT / "fastunet") for file in modules_of(ROOT / "fastunet")}
    tested = {file.parent.relative_to(ROOT / "tests") for file in modules_of(ROOT / "tests")}
    assert tested <= rooms | {Path("helpers")}
