"""The folder for what can be made again."""

import os
import subprocess
import sys

import pytest

from fastunet._util.cache_folder import cache_folder
from fastunet._util.files import make_folder
from fastunet.errors import OutputError


def test_the_cache_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def test_a_cache_that_cannot_be_made_names_the_variable(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.delenv("FASTUNET_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="FASTUNET_CACHE"):
        make_folder(cache_folder() / "decoded")


def test_without_a_home_nothing_is_written_to_a_folder_called_tilde(tmp_path):
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("only root can become a user that has no home")
    code = (
        "import os, platformdirs.unix; from fastunet._util.cache_folder import cache_folder; "
        "from fastunet.errors import OutputError; os.setuid(54321)\n"
        "try: print(cache_folder())\nexcept OutputError as error: print(error)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    environment.pop("FASTUNET_CACHE", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert "FASTUNET_CACHE" in done.stdout
