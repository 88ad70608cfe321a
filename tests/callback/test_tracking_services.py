"""Which services there are, and what to do where a client is missing."""

import sys

import pytest

from fastunet.callback import tracking_services
from fastunet.callback.tracking_services import SERVICES, check_installed
from fastunet.errors import OptionError


def test_a_client_that_is_missing_is_named_with_its_extra(monkeypatch, run, write_pairs):
    root = write_pairs(4)
    monkeypatch.setattr(tracking_services, "find_spec", lambda name: None)
    for name in SERVICES:
        with pytest.raises(OptionError, match=rf"fastunet\[{name}\]"):
            check_installed(name)
    code, out, err = run("train", root, "--track", "wandb")
    assert (code, out) == (2, "")  # before the data are read
    assert 'pip install "fastunet[wandb]"' in err


def test_an_unknown_service_is_told_those_that_there_are():
    with pytest.raises(OptionError, match="one of tensorboard, wandb, mlflow"):
        check_installed("neptune")


def test_a_client_is_imported_only_where_it_is_asked_for():
    from subprocess import run

    code = (
        "import sys, fastunet.training; print({*sys.modules} & {'wandb', 'mlflow', 'tensorboard'})"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
