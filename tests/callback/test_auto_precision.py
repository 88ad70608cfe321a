"""Mixed precision and channels_last on every device."""

import pytest
import torch
from fastai.callback.core import Callback
from fastai.torch_core import set_seed

from fastunet.callback.auto_precision import AutoPrecision
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


class Spy(Callback):
    """Notes what the network computes in, and how the batch lies in memory."""

    order = 9

    def before_fit(self):
        self.dtypes, self.formats = set(), set()
        self.hook = self.model.head.register_forward_hook(self._note)

    def _note(self, _module, inputs, output):
        self.dtypes.add(output.dtype)
        self.formats.add(inputs[0].is_contiguous(memory_format=torch.channels_last))

    def after_fit(self):
        self.hook.remove()


@pytest.fixture
def dls(write_pairs, in_tmp):
    set_seed(0)
    return ImageMaskDataLoaders.from_folder(write_pairs(8), size=32, bs=4, device="cpu")


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_the_network_computes_in_the_format_and_learns(dls, precision, dtype):
    set_seed(0)
    learn = segmentation_learner(dls, width=8, depth=2, precision=precision)
    spy = Spy()
    learn.fit_one_cycle(6, 1e-2, cbs=spy)
    assert spy.dtypes == {dtype}
    assert spy.formats == {True}
    assert learn.recorder.values[-1][0] < learn.recorder.values[0][0]
    assert {p.dtype for p in learn.model.parameters()} == {torch.float32}
    assert learn.pred is None


def test_a_step_whose_gradients_overflow_is_skipped_and_the_scale_lowered(dls):
    learn = segmentation_learner(dls, width=4, depth=2, precision="fp16", save_best=False)

    class Overflow(Callback):
        def after_backward(self):
            next(self.model.parameters()).grad.fill_(float("inf"))

    before = {name: p.clone() for name, p in learn.model.named_parameters()}
    learn.fit(1, cbs=Overflow())
    for name, p in learn.model.named_parameters():
        torch.testing.assert_close(p, before[name])
    assert learn.auto_precision.scaler.get_scale() < 65536


def test_it_can_be_switched_off(dls):
    learn = segmentation_learner(dls, width=4, depth=2).remove_cb(AutoPrecision)
    learn.fit(1)
    assert learn.validate()[0] > 0
