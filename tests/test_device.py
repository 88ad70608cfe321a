"""A device is taken when a small step works on it, not when it is there."""

import pytest
import torch

from fastunet import device as module
from fastunet.data.arguments import device_of
from fastunet.device import problem_with
from fastunet.errors import FastunetWarning, OptionError


def test_a_cpu_works_without_a_trial(monkeypatch):
    monkeypatch.setattr(module, "_step", None)
    problem_with.cache_clear()
    assert problem_with("cpu") is None


def test_the_trial_itself_works_where_pytorch_does():
    random = torch.get_rng_state()
    module._step(torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("name", ["cuda", "mps", "meta"])
def test_a_device_that_cannot_run_is_refused_with_the_reason(name):
    if name != "meta" and torch.accelerator.is_available():
        pytest.skip("this machine has an accelerator")
    with pytest.raises(OptionError, match=rf'^device="{name}" does not work here \(\w+: .*"cpu"'):
        device_of(name, torch.device("cpu"))


def test_a_default_that_cannot_run_gives_way_to_the_cpu_and_that_is_said():
    with pytest.warns(FastunetWarning, match="^meta does not work here .*the CPU is taken"):
        assert device_of(None, torch.device("meta")) == torch.device("cpu")


def test_a_device_is_tried_once(monkeypatch):
    tried = []
    monkeypatch.setattr(module, "_step", tried.append)
    problem_with.cache_clear()
    for _ in range(2):
        assert device_of("cuda", torch.device("cpu")) == torch.device("cuda")
    problem_with.cache_clear()
    assert tried == [torch.device("cuda")]
