"""What all commands have in common: mistakes, files that exist, the terminal, help."""

import os
import re
import shlex
import signal
import subprocess
import sys
import warnings

import cv2
import numpy as np
import pytest

FAST = ("--size", "32", "--bs", "2", "--width", "4")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_any_command_that_is_stopped_ends_at_once_and_quietly(run, in_tmp, monkeypatch, number):
    def stopped(*_, **__):
        signal.raise_signal(number)

    monkeypatch.setattr("fastunet.checks.audit.audit", stopped)
    before = signal.getsignal(number)
    assert run("audit", "data") == (128 + number, "", "")
    assert signal.getsignal(number) is before


STOPPED_IN_EXEC = """
import signal, sys
from fastunet.checks import audit
from fastunet.cli import main

audit.audit = lambda *_, **__: exec("signal.raise_signal(signal.SIGTERM)", globals())
sys.argv[1:] = ["audit", "data"]
main()
"""


def test_a_command_that_is_stopped_while_a_dataclass_is_made_ends_by_that_signal(in_tmp):
    (in_tmp / "stopped.py").write_text(STOPPED_IN_EXEC)  # as `python -m fastunet` runs it
    command = [sys.executable, "-m", "stopped"]
    ended = subprocess.run(command, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (143, b"")


# --- mistakes -------------------------------------------------------------------------------------


def spoil(root, name, content):
    file = root / name
    file.write_bytes(content) if isinstance(content, bytes) else cv2.imwrite(str(file), content)


HALF = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
CUT = cv2.imencode(".png", HALF)[1].tobytes()[:900]

MISTAKES = {
    "missing folder": ("train nowhere", None, "nowhere is missing"),
    "no pairs": ("train data/images", None, "holds no layout that fastunet knows"),
    "sizes that differ": (
        "train data",
        ("masks/01.png", np.zeros((9, 8), np.uint8)),
        "images/01.png 40x48, mask 9x8",
    ),
    "unreadable image": ("train data", ("images/01.png", CUT), "ends early"),
    "unreadable mask": ("train data", ("masks/01.png", CUT), "masks/01.png. Copy"),
    "unknown mask value": (
        "train data --classes a=0,b=255",
        ("masks/01.png", np.full((40, 48), 7, np.uint8)),
        "masks/01.png holds 7",
    ),
    "all-void masks": ("train data --void 0 --void 255", None, "but void"),
    "batch larger than the data": ("train data --bs 99", None, "--bs 99, but"),
    "unknown architecture": ("train data --arch resnet17", None, "resnet18"),
    "unknown encoder of fastai": ("train data --arch fastai:res", None, "fastai:res is"),
    "weights that are not there": (
        "train data --arch test_resnet --weights no.pth",
        None,
        "no file no.pth",
    ),
    "a width of another network": (
        "train data --arch test_resnet --width 8",
        None,
        "--arch unet",
    ),
    "unreadable size": ("train data --size big", None, "--size big"),
    "unreadable rate": ("train data --lr -1", None, "--lr -1"),
    "epochs and minutes": ("train data --epochs 1 --minutes 1", None, "both"),
    "no time": ("train data --minutes 0", None, "no time"),
    "size and patch": ("train data --size 64 --patch 64", None, "--patch"),
    "scale without a patch": ("train data --scale 0.5", None, "goes with --patch"),
    "no such fold": ("train data --fold 6/5", None, "--fold 6/5"),
    "no groups in the names": ("train data --groups auto", None, "show no groups"),
    "unknown augmentation": ("train data --augment wild", None, "--augment wild"),
    "unknown cache": ("train data --cache tape", None, "--cache tape"),
    "split of other data": (
        "train data --split split.json",
        ("../split.json", b'{"format": 1, "train": "x.png", "valid": [], "test": []}'),
        "was made for other pairs",
    ),
    "bundle missing": ("predict data data/images", None, "bundle.json was expected"),
    "bundle is a pickle": ("predict m.pkl data/images", ("../m.pkl", b"x"), "is a pickle"),
    "image missing": ("predict data no.png", None, "no.png does not exist"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_exit_code_2(run, write_pairs, mistake):
    words, spoiled, message = MISTAKES[mistake]
    root = write_pairs(6)
    if spoiled:
        spoil(root, *spoiled)
    code, _, err = run(*words.split())
    assert code == 2
    lines = [line for line in err.splitlines() if not line.startswith("libpng")]
    assert len(lines) == 1
    assert lines[0].startswith("fastunet: error: ")
    assert message in lines[0]


def test_a_bundle_that_is_cut_short_is_one_clear_line(run, write_pairs, in_tmp):
    run("train", write_pairs(4), "--epochs", 1, "--out", "r", *FAST)
    weights = in_tmp / "r/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    code, _, err = run("predict", "r", "data/images/00.png")
    assert code == 2
    assert "cut short" in err
    assert err.count("\n") == 1


def test_unpaired_files_are_warned_of_in_one_line(write_pairs, in_tmp):
    spoil(write_pairs(4), "images/lonely.png", HALF)
    words = ("train", "data", "--epochs", "1", "--out", "r", *FAST)
    command = [sys.executable, "-m", "fastunet", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [
        "fastunet: warning: Images without a mask are left out (1): images/lonely.png"
    ]
    assert "\r" not in done.stdout  # a log file gets lines, no bars


def test_encoders_are_listed_with_what_one_chooses_by(run):
    code, out, _ = run("encoders", "tf_efficientnet_lite0")
    assert code == 0
    assert out.split()[:4] == ["name", "parameters", "strides", "weights"]
    assert "tf_efficientnet_lite0" in out
    assert "2 4 8 16 32 installed" in out
    code, _, err = run("encoders", "efficientnat")
    assert code == 2
    assert "efficientnet" in err


# --- nothing is lost ------------------------------------------------------------------------------


WRITERS = {
    "audit": (["audit", "data", "--html"], "page.html", "--html"),
    "lr-find": (["lr-find", "data", *FAST, "--out"], "curve.png", "--out"),
    "evaluate": (["evaluate", "b", "data", "--out"], "evaluation.json", "--out"),
}


@pytest.mark.parametrize("command", WRITERS)
def test_what_exists_is_replaced_only_when_asked_for(
    run, write_pairs, write_bundle, in_tmp, command
):
    words, name, option = WRITERS[command]
    write_pairs(8)
    write_bundle()
    (in_tmp / "out").mkdir()
    (in_tmp / "out/mine.txt").write_bytes(b"mine")
    (in_tmp / "out" / name).write_bytes(b"mine")
    target = "out" if command == "evaluate" else f"out/{name}"
    code, out, err = run(*words, target)
    assert (code, out) == (2, "")
    assert f"out/{name} exists already. Choose another {option}, or say --overwrite" in err
    assert (in_tmp / "out" / name).read_bytes() == b"mine"
    assert run(*words, target, "--overwrite")[0] == 0
    assert (in_tmp / "out" / name).read_bytes() != b"mine"
    assert (in_tmp / "out/mine.txt").read_bytes() == b"mine"


@pytest.mark.parametrize("command", ["audit", "lr-find"])
def test_the_data_are_never_replaced(run, write_pairs, in_tmp, command):
    root = write_pairs(8)
    (in_tmp / "link.png").symlink_to(root / "masks/01.png")
    (root / "notes.json").write_text("{}")
    for target in ("data/images/00.png", "link.png", "data/notes.json"):
        before = (in_tmp / target).read_bytes()
        code, out, err = run(*WRITERS[command][0], target, "--overwrite")
        assert (code, out) == (2, "")
        assert "is read by this command" in err
        assert (in_tmp / target).read_bytes() == before


def test_an_evaluation_does_not_replace_the_table_it_reads(run, write_pairs, write_bundle, in_tmp):
    write_pairs(4)
    write_bundle()
    rows = [f"data/images/{i:02d}.png,data/masks/{i:02d}.png" for i in range(4)]
    (in_tmp / "per_image.csv").write_text("\n".join(["image,mask", *rows]))
    code, _, err = run("evaluate", "b", "per_image.csv", "--out", ".", "--overwrite")
    assert code == 2
    assert "per_image.csv is read by this command" in err
    assert not (in_tmp / "evaluation.json").exists()


@pytest.mark.parametrize("command", WRITERS)
def test_a_place_that_takes_no_file_is_found_before_the_work(
    run, write_pairs, write_bundle, in_tmp, command
):
    write_pairs(8)
    write_bundle()
    (in_tmp / "afile").touch()
    code, out, err = run(*WRITERS[command][0], "afile/x")
    assert (code, out) == (2, "")
    assert err == (
        "fastunet: error: afile is a file where a folder was meant; choose another place.\n"
    )


# --- at the terminal ------------------------------------------------------------------------------


def fastunet(*words, **how):
    command = [sys.executable, "-m", "fastunet", *map(str, words)]
    return subprocess.run(command, text=True, check=False, **how)


def test_head_ends_the_list_of_encoders_quietly():
    reader, writer = os.pipe()
    os.close(reader)  # as head does, once it has its lines
    done = fastunet("encoders", "resnet18*", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.stderr == ""


def in_terminal(*words, **environment):
    """What a terminal shows; returns (exit code, text)."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
    command = [sys.executable, "-m", "fastunet", *map(str, words)]
    child = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **environment}
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            some = os.read(ours, 65536)
        except OSError:  # it has ended
            break
        if not some:
            break
        shown += some
    os.close(ours)
    return child.wait(), shown.decode().replace("\r\n", "\n")


def test_bars_are_drawn_in_a_terminal_but_not_in_a_dumb_one(write_pairs, write_bundle, in_tmp):
    write_pairs(4)
    words = ("predict", write_bundle(), "data/images", "--out")
    code, shown = in_terminal(*words, "p1", TERM="xterm")
    assert code == 0
    assert "Predicting" in shown
    code, shown = in_terminal(*words, "p2", TERM="dumb")
    assert code == 0
    assert "Predicting" not in shown
    assert "\r" not in shown


def test_no_colour_is_shown_to_those_who_want_none():
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
    _, shown = in_terminal("predict", "--help", TERM="xterm", NO_COLOR="")
    assert coloured.search(shown)
    for words in (("predict", "--help"), ("predict", "--wrong")):
        _, shown = in_terminal(*words, TERM="xterm", NO_COLOR="1")
        assert "predict" in shown
        assert not coloured.search(shown)


def test_messages_name_options_as_they_are_typed(run, write_pairs):
    root = write_pairs(6, (0, 1, 9))
    code, _, err = run("train", root, "--classes", "soil=0,crop=1")
    assert code == 2
    assert "pass --unknown void to leave their pixels out" in err
    assert "add them to --classes or --void" in err
    for python in ("=", '"'):
        assert python not in err.replace("soil=0,crop=1", "")


def test_warnings_name_options_as_they_are_typed(run):
    run("--version")
    text = warnings.formatwarning('groups="auto" (--groups auto) keeps them.', UserWarning, "x", 1)
    assert text == "fastunet: warning: --groups auto keeps them.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arch", "resnet17"], "resnet18"),
        (["--arch", "fastai:res"], "fastai:res is unknown"),
        (["--arch", "resnet18", "--width", "8"], "--width 8 belongs to"),
        (["--width", "0"], "--width 0"),
        (["--arch", "resnet18", "--weights", "no.pth"], "no file no.pth"),
        (["--weights", "no.pth"], "those of an encoder"),
        (["--lr", "nan"], "--lr nan"),
        (["--minutes", "nan"], "--minutes nan"),
    ],
)
def test_a_mistyped_network_or_number_is_found_before_the_data_are_read(run, words, message):
    code, out, err = run("train", "no-such-data", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert "no-such-data" not in err


def test_the_next_command_repeats_what_was_typed(run, write_pairs, in_tmp):
    root = write_pairs(8, (0, 1, 9), size=(96, 128), folder="my data")
    (root / "images").rename(root / "pictures")
    said = ("--images", "pictures", "--masks", "masks", "--classes", "soil,sugar beet", "--void", 9)
    typed = "--images pictures --masks masks --classes 'soil,sugar beet' --void 9"
    _, out, _ = run("audit", "my data", *said)
    assert out.splitlines()[-1].endswith(f"Next: fastunet train 'my data' {typed}")
    words = ("--out", "a curve.png", "--no-pretrained", *FAST, *said)
    _, out, _ = run("lr-find", "my data", *words)
    following = out.splitlines()[-1]
    assert re.match(r"Next: fastunet train 'my data' --lr [\d.e-]+ ", following)
    again = shlex.split(following)[6:]
    pairs = {tuple(again[i : i + 2]) for i in range(len(again))}
    assert {("--void", "9"), ("--classes", "soil,sugar beet"), ("--size", "32")} <= pairs
    assert "--no-pretrained" in again
    assert "--out" not in again
    assert run(*shlex.split(following)[2:], "--epochs", 1, "--out", "r")[0] == 0


def test_a_cache_that_cannot_be_made_is_one_line_that_names_the_variable(run, in_tmp, monkeypatch):
    (in_tmp / "afile").touch()
    monkeypatch.setenv("FASTUNET_CACHE", str(in_tmp / "afile"))
    code, _, err = run("demo", "--out", "d", "--seconds", 5)
    assert code == 2
    assert "FASTUNET_CACHE" in err
    assert err.count("\n") == 1


def test_a_lack_of_memory_is_one_line(run, write_pairs):
    code, _, err = run("train", write_pairs(6), "--epochs", 1, "--width", 2**40)
    assert code == 2
    assert err.startswith("fastunet: error: There is not enough memory")
    assert "--bs" in err
    assert err.count("\n") == 1


def test_help_and_version(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(word in out for word in ("demo", "train", "predict", "lr-find"))
    from fastunet import __version__

    assert run("--version")[1].strip() == __version__
    assert run("train", "--wrong")[0] == 2
