"""A trial leaves no trace in the learner, however it ends."""

import pytest
import torch
from fastai.torch_core import set_seed

from fastunet.callback.time_budget import measure
from fastunet.callback.trial import trial
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


@pytest.fixture
def make(write_pairs, in_tmp):
    root = write_pairs(12, size=(32, 32))

    def make():
        set_seed(0)
        dls = ImageMaskDataLoaders.from_folder(root, size=16, bs=2, device="cpu")
        return segmentation_learner(dls, width=4, depth=2)

    return make


def stopped(learn):
    def interrupt(*_):
        raise KeyboardInterrupt

    learn.loss_func.register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt), trial(learn):
        learn.fit(1, 0.1)
    learn.loss_func._forward_hooks.clear()


@pytest.mark.parametrize("fitted", [False, True], ids=["a new learner", "one with momentum"])
@pytest.mark.parametrize(
    "try_it",
    [
        lambda learn: learn.lr_find(num_it=30, show_plot=False),
        lambda learn: measure(learn),
        stopped,
    ],
    ids=["lr_find", "measured", "stopped"],
)
def test_what_is_trained_afterwards_is_the_same_bit_for_bit(make, try_it, fitted):
    def trained(try_it):
        learn = make()
        if fitted:
            learn.fit(1, 0.01)
        if try_it:
            try_it(learn)
        learn.fit_one_cycle(2, 0.01)
        return learn.model.state_dict()

    torch.testing.assert_close(trained(try_it), trained(None), rtol=0, atol=0)


def test_gradients_that_wait_for_a_step_stay(make):
    learn = make()
    first = next(learn.model.parameters())
    first.grad = torch.ones_like(first)
    with trial(learn):
        learn.fit(1, 0.1)
    assert torch.equal(first.grad, torch.ones_like(first))
