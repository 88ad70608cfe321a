"""Promises of the project as a whole: light imports, one direction, two commands."""

import ast
import configparser
import shlex
import subprocess
import sys
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


# The floors of the house, from the ground up: a module imports from its own floor or below.
FLOORS = [
    [
        "fastunet",
        "fastunet.errors",
        "fastunet.files",
        "fastunet.folders",
        "fastunet.run_files",
        "fastunet.run_folder",
        "fastunet.system_errors",
        "fastunet.terminal",
    ],
    [
        *["fastunet.data.cache", "fastunet.data.tiff", "fastunet.data.images"],
        *["fastunet.data.layouts", "fastunet.data.affixes", "fastunet.data.matching"],
        *["fastunet.data.pairs", "fastunet.data.pairing_text", "fastunet.data.tables"],
        "fastunet.data.which_masks",
        *["fastunet.data.groups", "fastunet.data.stratify", "fastunet.data.split"],
        *["fastunet.data.stated_split", "fastunet.data.sources", "fastunet.data.cut_stack"],
        *["fastunet.data.tiles", "fastunet.data.pixel_values", "fastunet.data.library_messages"],
    ],
    ["fastunet.data.stacks", "fastunet.data.codes", "fastunet.data.strays"],
    ["fastunet.data.survey"],
    ["fastunet.data.instances", "fastunet.data.smear"],
    ["fastunet.data.encodings"],
    ["fastunet.data.naming"],
    ["fastunet.data.masks"],
    ["fastunet.preprocess", "fastunet.precision", "fastunet.data.augment", "fastunet.data.show"],
    ["fastunet.data.reader", "fastunet.data.public", "fastunet.data.samples"],
    ["fastunet.data.resolution"],
    ["fastunet.data.audit"],
    ["fastunet.data.transforms", "fastunet.data.loader", "fastunet.data.arguments"],
    ["fastunet.data.block", "fastunet.models", "fastunet.losses"],
    ["fastunet.metrics", "fastunet.inference"],
    ["fastunet.callback", "fastunet.learner"],
    ["fastunet.report"],
    ["fastunet.run", "fastunet.options", "fastunet.inputs"],
    ["fastunet.cli", "fastunet.all"],
]


def floor_of(module: str) -> int:
    best = [
        (len(room), floor)
        for floor, rooms in enumerate(FLOORS)
        for room in rooms
        if module == room or (module.startswith(room + ".") and room != "fastunet")
    ]
    assert best, f"{module} stands on no floor; give it one in FLOORS"
    return max(best)[1]


def test_no_import_climbs():
    climbing = []
    for file in sorted((ROOT / "fastunet").rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if module in ("fastunet", "fastunet.data"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(
                "fastunet"
            ):
                continue
            targets = [node.module]
            if node.module in ("fastunet", "fastunet.data"):
                targets = [
                    f"{node.module}.{alias.name}"
                    for alias in node.names
                    if (ROOT / node.module.replace(".", "/") / f"{alias.name}.py").exists()
                ]
            climbing += [f"{module} -> {t}" for t in targets if floor_of(t) > floor_of(module)]
    assert not climbing
