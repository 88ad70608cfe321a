"""Mean and standard deviation that pretrained weights expect."""

import pytest
import timm
import torch
from torch import nn

from fastunet.models.normalisation import for_channels, normalisation_of


def test_the_statistics_of_rgb_fit_grey_images_by_their_mean():
    mean, std = (0.1, 0.2, 0.6), (0.2, 0.3, 0.4)
    assert for_channels(mean, std, 3) == (mean, std)
    assert for_channels(mean, std, 1) == (pytest.approx((0.3,)), pytest.approx((0.3,)))
    assert for_channels(mean, std, 4) is None


def test_a_network_says_which_statistics_it_expects():
    model = nn.Conv2d(1, 1, 1)
    assert normalisation_of(model) is None
    model.normalisation = ((0.5,), (0.25,))
    assert normalisation_of(torch.compile(model, backend="eager")) == ((0.5,), (0.25,))


def test_an_encoder_of_timm_is_not_taken_for_pretrained():
    model = nn.Module()
    model.encoder = timm.create_model("test_resnet", features_only=True, pretrained=False)
    assert model.encoder.pretrained_cfg["mean"]  # it would have said so in any case
    assert normalisation_of(model) is None
