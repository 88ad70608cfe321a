"""AdamW takes the steps of fastai's and of PyTorch's, and is what a learner trains with."""

from copy import deepcopy
from functools import partial

import pytest
import timm.optim
import torch
from fastai.optimizer import Adam
from torch import nn

from fastunet import ImageMaskDataLoaders, segmentation_learner
from fastunet.optimizer import AdamW


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 1))


def trained(network, make, steps=20, through=None):
    """The weights after steps at a growing rate; `through` may replace the optimizer."""
    network = deepcopy(network)
    optimizer = make(network)
    torch.manual_seed(1)
    for number in range(steps):
        rate, mom = 1e-4 * (1 + number), 0.95 - 0.005 * number
        if hasattr(optimizer, "set_hypers"):
            optimizer.set_hypers(lr=rate, mom=mom)
        else:
            for group in optimizer.param_groups:
                group |= {"lr": rate, "betas": (mom, 0.99)}
        optimizer.zero_grad()
        network(torch.randn(4, 3, 12, 12)).square().mean().backward()
        optimizer.step()
        if through:
            optimizer = through(network, optimizer)
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def of_fastai(make, network):
    """An optimizer with two groups, none of whose biases decay."""
    optimizer = make([list(network[0].parameters()), list(network[1:].parameters())], lr=0.01)
    for p in network.parameters():
        if p.ndim == 1:
            optimizer.state[p]["do_wd"] = False
    return optimizer


def test_it_takes_the_steps_of_fastai(network):
    ours = trained(network, partial(of_fastai, partial(AdamW, wd=1.0)))
    theirs = trained(network, partial(of_fastai, partial(Adam, wd=1.0)))
    # a bias before batch norm has a gradient of rounding errors only, which Adam makes steps of
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    plain = trained(network, partial(of_fastai, partial(AdamW, wd=0.0)))
    assert not torch.allclose(ours, plain, rtol=1e-5, atol=1e-6)


def test_it_takes_the_steps_of_pytorch_exactly(network):
    def pytorch(network):
        options = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-5, "weight_decay": 0.01}
        return torch.optim.AdamW(network.parameters(), **options, fused=True)

    ours = trained(network, lambda network: AdamW(list(network.parameters()), 0.01))
    torch.testing.assert_close(ours, trained(network, pytorch), rtol=0, atol=0)


def test_the_cautious_one_takes_the_steps_of_timm(network):
    def theirs(network):
        options = {"betas": (0.9, 0.99), "eps": 1e-5, "weight_decay": 0.01, "caution": True}
        return timm.optim.AdamWLegacy(network.parameters(), 0.01, **options)

    ours = trained(network, lambda network: AdamW.cautious(list(network.parameters()), 0.01))
    torch.testing.assert_close(ours, trained(network, theirs), rtol=1e-4, atol=1e-5)
    bold = trained(network, lambda network: AdamW(list(network.parameters()), 0.01))
    assert not torch.allclose(ours, bold, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [AdamW, AdamW.cautious], ids=["AdamW", "cautious"])
def test_it_goes_on_from_its_state(network, kind):
    def restored(network, optimizer):
        fresh = of_fastai(kind, network)
        fresh.load_state_dict(deepcopy(optimizer.state_dict()))
        return fresh

    make = partial(of_fastai, kind)
    again = trained(network, make, through=restored)
    torch.testing.assert_close(again, trained(network, make), rtol=0, atol=0)


def test_a_gradient_laid_out_otherwise_than_its_weight_steps_alike(network):
    network[0].weight.data = network[0].weight.data.to(memory_format=torch.channels_last)

    def turned(network, optimizer):
        weight = network[0].weight
        weight.grad = weight.grad.contiguous()
        assert weight.grad.stride() != weight.stride()
        return optimizer

    make = partial(of_fastai, AdamW)
    steps = trained(network, make, through=turned)
    torch.testing.assert_close(steps, trained(network, make), rtol=1e-5, atol=1e-6)


def test_what_has_no_gradient_stays(network):
    network[0].requires_grad_(False)
    before = deepcopy(network[0].weight)
    trained_network = deepcopy(network)
    optimizer = of_fastai(AdamW, trained_network)
    trained_network(torch.randn(4, 3, 12, 12)).mean().backward()
    optimizer.step()
    assert torch.equal(trained_network[0].weight, before)
    assert "step" not in optimizer.state[trained_network[0].weight]


def test_closures_are_refused(network):
    with pytest.raises(NotImplementedError, match="no closure"):
        AdamW(list(network.parameters()), 0.01).step(lambda: None)


def test_learners_train_with_it_unless_told_otherwise(write_pairs):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(4), size=16, bs=2)
    assert segmentation_learner(dls, width=4).opt_func is AdamW
    assert segmentation_learner(dls, width=4, opt_func=Adam).opt_func is Adam
