"""Which number format is fast on a device."""

import pytest
import torch

from fastunet import precision
from fastunet.precision import autocast, choose_dtype, training_dtype


@pytest.mark.parametrize(
    ("features", "faster", "dtype"),
    [
        ({"amx_bf16": True}, True, torch.bfloat16),
        ({"avx512_bf16": True}, True, torch.bfloat16),
        ({"avx512_bf16": True}, False, torch.float32),  # Emerald Rapids whose AMX is hidden
        ({"amx_bf16": False, "avx512_bf16": False}, True, torch.float32),
        ({}, True, torch.float32),  # another architecture
    ],
)
def test_a_cpu_gets_bfloat16_only_if_it_computes_in_it_and_is_faster_so(
    monkeypatch, features, faster, dtype
):
    monkeypatch.setattr(precision.torch.cpu, "get_capabilities", lambda: features)
    monkeypatch.setattr(precision, "cpu_is_faster_in_bf16", lambda: faster)
    assert choose_dtype("cpu") == dtype


def test_which_format_is_faster_is_measured_without_random_numbers(monkeypatch):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert precision._seconds(torch.bfloat16) > 0
    assert precision._seconds(torch.float32) > 0
    assert torch.equal(torch.get_rng_state(), before)
    seconds = {torch.bfloat16: 0.8, torch.float32: 1.0}
    monkeypatch.setattr(precision, "_seconds", seconds.__getitem__)
    assert precision.cpu_is_faster_in_bf16.__wrapped__()
    seconds[torch.bfloat16] = 0.95
    assert not precision.cpu_is_faster_in_bf16.__wrapped__()  # not worth less precise numbers


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_cuda_gets_bfloat16_where_it_is_native_and_float16_where_not(monkeypatch, native, dtype):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert choose_dtype("cuda") == dtype


def test_other_devices_get_float32_and_the_user_decides():
    assert choose_dtype("mps") == torch.float32
    assert choose_dtype("cpu", "bf16") == torch.bfloat16
    assert choose_dtype("cuda", "fp32") == torch.float32
    with pytest.raises(ValueError, match="precision='int8'"):
        choose_dtype("cpu", "int8")


def test_depthwise_networks_train_in_float32_on_a_cpu_that_computes_in_bfloat16(monkeypatch):
    monkeypatch.setattr(precision.torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    monkeypatch.setattr(precision, "cpu_is_faster_in_bf16", lambda: True)
    dense, depthwise = torch.nn.Conv2d(8, 8, 3), torch.nn.Conv2d(8, 8, 3, groups=8)
    assert training_dtype(torch.nn.Sequential(dense), "cpu") == torch.bfloat16
    assert training_dtype(torch.nn.Sequential(dense, depthwise), "cpu") == torch.float32
    assert training_dtype(depthwise, "cpu", "bf16") == torch.bfloat16  # the user decides


def test_autocast_computes_in_the_dtype():
    x = torch.randn(2, 3, 8, 8)
    for dtype in (torch.bfloat16, torch.float32):
        with autocast("cpu", dtype):
            assert torch.nn.functional.conv2d(x, torch.randn(4, 3, 3, 3)).dtype == dtype
