"""Processes that share each batch train as one process with the whole batch does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(
    os.name == "nt" or not torch.distributed.is_available(), reason="gloo and torchrun are needed"
)
SCRIPT = Path(__file__).with_name("parallel_fit.py")
# float32 sums in another order, over some steps; pixels that cost nearly the same change places
# where a loss sorts them
TOLERANCE = {"a loss that sorts all pixels": 1e-3}


def trained(data: Path, processes: int) -> list[dict]:
    """What the script saw, in each process."""
    out = data.parent / f"by-{processes}"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = [*(launcher if processes > 1 else []), str(SCRIPT), str(data), str(out)]
    subprocess.run([sys.executable, *words], check=True, timeout=300, capture_output=True)
    return [torch.load(f"{out}-{number}.pt") for number in range(processes)]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3, 4])
def test_losses_scores_and_weights_are_those_of_one_process(write_pairs, processes):
    data = write_pairs(18)  # 13 to train on, 5 to validate
    (alone,) = trained(data, 1)
    together = trained(data, processes)
    for case, expected in alone.items():
        near = TOLERANCE.get(case, 1e-5)
        for each in together:
            seen = each[case]
            assert seen["losses"] == pytest.approx(expected["losses"], rel=near), case
            for ours, theirs in zip(seen["history"], expected["history"], strict=True):
                values = dict(zip(seen["names"], zip(ours, theirs, strict=True), strict=True))
                for name, (one, other) in values.items():
                    exact = name in ("dice", "mean_iou", "pixel_accuracy")
                    assert one == pytest.approx(other, rel=0 if exact else near), (case, name)
            for name, weights in expected["weights"].items():
                difference = (seen["weights"][name].float() - weights.float()).abs().max()
                assert difference < near, (case, name)
        for name, weights in together[0][case]["weights"].items():
            assert torch.equal(weights, together[-1][case]["weights"][name]), (case, name)
