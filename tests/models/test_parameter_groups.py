"""Parameter groups of any network, and what fastai's freezing and rates make of them."""

import copy
from collections.abc import Callable

import pytest
import torch
from fastai.vision.all import Learner, set_seed
from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.losses import CombinedLoss
from fastunet.models.fastai_unet import FastaiUNet
from fastunet.models.parameter_groups import split_parameters
from fastunet.models.unet import UNet


def smp_network(name: str) -> nn.Module:
    smp = pytest.importorskip("segmentation_models_pytorch")
    return getattr(smp, name)("resnet18", encoder_weights=None)


class Own(nn.Module):
    """A network of a user: a bare parameter, and one that encoder and head share."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1))
        self.middle = nn.Conv2d(3, 3, 1)
        self.head = nn.Conv2d(3, 4, 1, bias=False)
        self.head.bias = self.encoder[0].bias


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "unet": lambda: UNet(3, 1, width=4, depth=2),
    "fastai": lambda: FastaiUNet("resnet18", size=(32, 32)),
    "smp": lambda: smp_network("UnetPlusPlus"),
    "torchvision": lambda: lraspp_mobilenet_v3_large(weights=None, weights_backbone=None),
    "own": Own,
}


def names(model: nn.Module, parameters: list[nn.Parameter]) -> list[str]:
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    return [known[id(parameter)] for parameter in parameters]


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_parameter_is_in_one_group(kind):
    model = NETWORKS[kind]()
    expected = sorted(names(model, list(model.parameters())))
    groups = split_parameters(model)
    assert len(groups) == 3
    assert all(groups)
    assert sorted(names(model, [p for group in groups for p in group])) == expected


@pytest.mark.parametrize(("kind", "prefix"), [("smp", "encoder."), ("torchvision", "backbone.")])
def test_the_encoder_goes_by_the_names_that_libraries_use(kind, prefix):
    model = NETWORKS[kind]()
    *encoder, rest = (names(model, group) for group in split_parameters(model))
    assert all(name.startswith(prefix) for group in encoder for name in group)
    assert not any(name.startswith(prefix) for name in rest)


def test_a_parameter_that_two_parts_share_is_the_encoders():
    own = Own()
    rest = names(own, split_parameters(own)[-1])
    assert rest == ["scale", "middle.weight", "middle.bias", "head.weight"]


def test_the_encoder_is_halved_by_its_modules_none_of_them_torn():
    model = NETWORKS["fastai"]()
    early, late, _rest = (
        {name.rpartition(".")[0] for name in names(model, group)}
        for group in split_parameters(model)
    )
    assert not early & late
    assert 0 <= len(late) - len(early) <= 1
    assert {name.split(".")[2] for name in early} == {"0", "1", "4", "5"}  # stem, stages 1 and 2
    assert {name.split(".")[2] for name in late} >= {"6", "7"}


def test_a_network_without_an_encoder_is_one_group():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 1, 1))
    (group,) = split_parameters(model)
    assert names(model, group) == names(model, list(model.parameters()))


@pytest.fixture
def learner(write_pairs, in_tmp):
    """A fastai Learner on tiny data, as a user makes one."""

    def make(kind: str, **options) -> Learner:
        set_seed(0)
        dls = ImageMaskDataLoaders.from_folder(write_pairs(6), size=32, bs=2, device="cpu")
        model = NETWORKS[kind]()
        return Learner(dls, model, CombinedLoss(), splitter=split_parameters, **options)

    return make


def quiet_fit(learn: Learner, *args) -> None:
    with learn.no_bar(), learn.no_logging():
        learn.fit(*args)


def trained(learn: Learner) -> list[bool]:
    """For each group whether all of it, or none of it, is trained."""
    groups = [{p.requires_grad for p in group} for group in split_parameters(learn.model)]
    assert all(len(kinds) == 1 for kinds in groups)
    return [kinds.pop() for kinds in groups]


def test_freezing_goes_group_by_group(learner):
    learn = learner("fastai", train_bn=False)
    learn.freeze()
    assert trained(learn) == [False, False, True]
    learn.freeze_to(-2)
    assert trained(learn) == [False, True, True]
    learn.unfreeze()
    assert trained(learn) == [True, True, True]


def test_rates_rise_from_early_encoder_to_head(learner):
    learn = learner("unet")
    quiet_fit(learn, 1, slice(1e-4, 1e-2))
    assert [group["lr"] for group in learn.opt.hypers] == pytest.approx([1e-4, 1e-3, 1e-2])
    quiet_fit(learn, 1, slice(1e-2))
    assert [group["lr"] for group in learn.opt.hypers] == pytest.approx([1e-3, 1e-3, 1e-2])


@pytest.mark.parametrize("kind", ["fastai", "smp"])
@pytest.mark.parametrize("train_bn", [False, True])
def test_a_frozen_encoder_keeps_its_weights_to_the_bit(learner, kind, train_bn):
    """Batch norm goes on in fastai unless `train_bn=False`; its running statistics always do."""
    learn = learner(kind, train_bn=train_bn)
    norms = [m for m in learn.model.modules() if isinstance(m, nn.BatchNorm2d)]
    of_norms = {id(p) for norm in norms for p in norm.parameters()}
    early, late, rest = groups = split_parameters(learn.model)
    before = copy.deepcopy(groups)
    running = norms[0].running_mean.clone()
    learn.freeze()
    quiet_fit(learn, 1, 1e-2)
    for now, then in zip(early + late, before[0] + before[1], strict=True):
        assert torch.equal(now, then) == (not (train_bn and id(now) in of_norms))
    assert not any(map(torch.equal, rest[-2:], before[2][-2:]))  # the head's
    assert not torch.equal(norms[0].running_mean, running)


def test_fine_tuning_ends_with_everything_trained(learner):
    learn = learner("fastai")
    before = copy.deepcopy(split_parameters(learn.model))
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(1, 1e-2)
    assert trained(learn) == [True, True, True]
    for now, then in zip(split_parameters(learn.model), before, strict=True):
        assert not any(map(torch.equal, now, then))
