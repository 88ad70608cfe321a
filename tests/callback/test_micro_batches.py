"""A batch that is too large for the memory goes through the network in parts."""

import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from fastai.callback.training import GradientAccumulation
from fastai.torch_core import set_seed
from torch import nn

from fastunet.callback.checkpoint import Checkpoint
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import FastunetWarning, TrainingError
from fastunet.learner import segmentation_learner
from fastunet.models.unet import UNet


class Limited(nn.Module):
    """A network for which there is memory for so many images only, in one pass or the other."""

    def __init__(self, net: nn.Module, most: int, backward: bool = False):
        super().__init__()
        self.net, self.most, self.backward, self.seen = net, most, backward, []

    def forward(self, x):
        self.seen.append(len(x))
        if len(x) > self.most and not self.backward:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        logits = self.net(x)
        if len(x) > self.most and logits.requires_grad:
            logits.register_hook(self.fail)
        return logits

    @staticmethod
    def fail(gradient):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.fixture
def make(write_pairs):
    root = write_pairs(20)

    def learner(most=None, backward=False, bs=8, norm="group", cbs=(), **options):
        set_seed(1)
        dls = ImageMaskDataLoaders.from_folder(root, size=16, bs=bs, device="cpu")
        net = UNet(3, 1, width=8, depth=2, norm=norm)
        net = net if most is None else Limited(net, most, backward)
        options = {"precision": "fp32", "save_best": False, **options}
        return segmentation_learner(dls, net, cbs=list(cbs), **options)

    return learner


def weights(learn):
    net = getattr(learn.model, "net", learn.model)
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
def test_a_fit_in_parts_learns_what_a_fit_of_whole_batches_does(make, backward, accumulate):
    cbs = [GradientAccumulation(16)] if accumulate else []
    whole = make(cbs=deepcopy(cbs))
    whole.fit(2, 1e-3)
    parts = make(2, backward, cbs=deepcopy(cbs))
    with pytest.warns(FastunetWarning, match="Out of memory with") as said:
        parts.fit(2, 1e-3)
    told = [str(one.message) for one in said if "Out of memory" in str(one.message)]
    assert len(told) == 2
    assert "with 8 images of 16x16 at once (CUDA out of memory" in told[0]
    assert "sees 4 at once" in told[0]
    assert "sees 2 at once" in told[1]
    assert "its whole batch of 8" in told[1]
    assert parts.micro_batches.size == 2
    assert isinstance(parts.model, Limited)
    # float32 sums in another order
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-3, atol=2e-5)
    whole, parts = whole.recorder, parts.recorder
    assert [float(v) for v in parts.losses] == pytest.approx(
        [float(v) for v in whole.losses], rel=1e-3
    )


def test_running_statistics_take_in_each_part_once(make):
    learn = make(4, norm="batch")
    with pytest.warns(FastunetWarning, match="Out of memory"):
        learn.fit(1, 1e-3)
    norm = next(m for m in learn.model.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.num_batches_tracked == 2 * len(learn.dls.train)
    assert norm.momentum


def test_validation_is_predicted_in_parts_too(make):
    learn = make(1000, bs=4)
    learn.model.most = 3
    with pytest.warns(FastunetWarning, match="with 4 images"):
        learn.validate()
    predictions, _ = learn.get_preds()
    learn.model.most, learn.micro_batches.size = 1000, None
    torch.testing.assert_close(learn.get_preds()[0], predictions)


def test_one_image_that_is_too_much_is_an_error_that_says_what_to_do(make):
    learn = make(1000)
    learn.model.most = 0
    with (
        pytest.raises(TrainingError, match=r"Out of memory with 1 images .* smaller images"),
        pytest.warns(FastunetWarning),
    ):
        learn.fit(1, 1e-3)
    assert not torch.is_autocast_enabled("cpu")


def test_an_error_of_another_kind_stays_what_it_is(make):
    learn = make(100)
    learn.model.net.forward = lambda x: x @ x[:, :, :3]
    with pytest.raises(RuntimeError, match="Expected size"):
        learn.fit(1, 1e-3)
    assert learn.micro_batches.size is None


def test_parts_work_in_bfloat16(make):
    learn = make(4, backward=True, precision="bf16")
    with pytest.warns(FastunetWarning, match="Out of memory"):
        learn.fit(1, 1e-3)
    assert learn.model.seen[-1] <= 4


def test_a_fit_that_goes_on_remembers_its_parts(make, in_tmp):
    learn = make(2)
    with pytest.warns(FastunetWarning, match="Out of memory"):
        learn.fit(1, 1e-3, cbs=Checkpoint("c"))
    checkpoint = Checkpoint("c", resume=True)
    assert checkpoint.resumed["callbacks"]["MicroBatches 0"]["size"] == 2


LIMITED = """
import resource, sys, warnings
import torch
from fastai.callback.core import Callback
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner

torch.set_num_threads(1)
dls = ImageMaskDataLoaders.from_folder(sys.argv[1], size=128, bs=32, device="cpu")
learn = segmentation_learner(dls, width=16, depth=3, precision="fp32", save_best=False)

class Tighten(Callback):
    def before_batch(self):
        if self.train_iter == 1:  # after the first
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 600_000_000, resource.RLIM_INFINITY))

learn.fit(2, 1e-3, cbs=Tighten())
print("finished at", learn.micro_batches.size, len(learn.recorder.values))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory as Linux has")
def test_under_a_real_limit_of_memory_a_fit_goes_on_in_smaller_parts(write_pairs):
    command = [sys.executable, "-c", LIMITED, str(write_pairs(40, size=(128, 128)))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Out of memory with 32 images of 128x128 at once" in done.stderr
    size, epochs = done.stdout.split("finished at")[1].split()
    assert 1 <= int(size) <= 16
    assert int(epochs) == 2
