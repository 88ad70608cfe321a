"""A network compiled for the training: the same training, and none the worse where it fails."""

import shutil

import pytest
import torch
from fastai.callback.core import Callback
from fastai.torch_core import set_seed

from fastunet._util.warn import FastunetWarning
from fastunet.callback.compiled import Compiled
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


@pytest.fixture
def make(write_pairs, in_tmp):
    root = write_pairs(10, size=(32, 32))

    def make():
        torch.compiler.reset()
        set_seed(0)
        dls = ImageMaskDataLoaders.from_folder(root, size=16, bs=2, device="cpu")
        return segmentation_learner(dls, width=4, depth=2, precision="fp32")

    return make


class WhoPredicts(Callback):
    """Notes whether the network is the compiled one."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    order = Compiled.order + 1

    def before_batch(self):
        self.seen.add((self.training, "forward" in vars(self.model)))


def weights(learn):
    return learn.model.state_dict()


def test_it_trains_compiled_and_validates_as_it_is(make):
    plain, learn = make(), make()
    plain.fit(2, 0.01)
    compiled, seen = Compiled("aot_eager"), WhoPredicts()
    learn.fit(2, 0.01, cbs=[compiled, seen])
    assert compiled.used
    assert seen.seen == {(True, True), (False, False)}
    assert "forward" not in vars(learn.model)
    torch.testing.assert_close(weights(learn), weights(plain), rtol=1e-4, atol=1e-5)


def test_where_the_compiler_fails_it_says_why_and_trains_all_the_same(make):
    def broken(graph, inputs):
        raise RuntimeError("no C++ compiler was found")

    plain, learn = make(), make()
    plain.fit(1, 0.01)
    compiled = Compiled(broken)
    with pytest.warns(FastunetWarning, match=r"torch\.compile is not used.*no C\+\+ compiler"):
        learn.fit(1, 0.01, cbs=compiled)
    assert not compiled.used
    torch.testing.assert_close(weights(learn), weights(plain), rtol=0, atol=0)


def test_a_stopped_fit_leaves_the_network_as_it_was(make):
    class Stop(Callback):
        def after_batch(self):
            raise KeyboardInterrupt

    learn = make()
    with pytest.raises(KeyboardInterrupt):
        learn.fit(1, 0.01, cbs=[Compiled("eager"), Stop()])
    assert "forward" not in vars(learn.model)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler here")
def test_with_the_real_compiler_it_trains_alike_and_the_same_again(make):
    def trained(*callbacks):
        learn = make()
        learn.fit(2, 0.01, cbs=callbacks)
        return weights(learn)

    first = trained(Compiled())
    torch.testing.assert_close(first, trained(Compiled()), rtol=0, atol=0)
    torch.testing.assert_close(first, trained(), rtol=1e-3, atol=1e-4)
