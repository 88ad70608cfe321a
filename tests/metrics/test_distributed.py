"""Figures of two processes that share the data are those of one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="gloo is not built in")
def test_two_processes_give_the_figures_of_one_to_the_last_digit(tmp_path):
    runs = [
        subprocess.Popen(
            [sys.executable, SCRIPT, str(rank), tmp_path / "meeting"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    printed = [json.loads(run.communicate(timeout=300)[0]) for run in runs]
    for each in printed:
        assert each["shared"] == each["alone"] == printed[0]["alone"]
        assert all(map(all, each["alone"].values())), "figures of 0 would tell nothing"
