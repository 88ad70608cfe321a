"""A network that cannot be trained on the images is found by one forward pass."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import nn

from fastunet.errors import ArchitectureError
from fastunet.models.forward_check import check_network
from fastunet.models.unet import UNet


def convolution(n_out, *after):
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, n_out, 1), *after)


class Returning(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.body, self.change = convolution(1), change

    def forward(self, images):
        return self.change(self.body(images))


REFUSED = {
    "sigmoid": (convolution(1, nn.Sigmoid()), 1, "ends in a sigmoid.*activation=None"),
    "softmax": (convolution(3, nn.Softmax(1)), 3, "ends in a softmax.*logits"),
    "sigmoids": (convolution(3, nn.Sigmoid()), 3, "ends in a sigmoid"),
    "smp, activated": (
        smp.Unet("resnet18", encoder_weights=None, classes=1, activation="sigmoid"),
        1,
        "Unet ends in a sigmoid",
    ),
    "one channel too many": (convolution(2), 1, "has 2 channels, 1 expected.*n_classes=1"),
    "channels too few": (convolution(1), 3, r"has 1 channel, 3 expected.*classes=3"),
    "grey": (
        UNet(1, 1, depth=1, width=2),
        1,
        "images of 1 channel; these have 3.*channels=1",
    ),
    "small": (convolution(1, nn.MaxPool2d(2)), 1, "16x32 pixels.*32x64 were.*interpolate"),
    "a dictionary": (
        Returning(lambda x: {"out": x, "aux": x}),
        1,
        r"a dict.*output\[.out.\]",
    ),
    "a tuple": (Returning(lambda x: (x, x)), 1, "a tuple, no tensor.*element"),
    "nothing": (Returning(lambda x: None), 1, "a NoneType, no tensor"),
    "flat": (Returning(lambda x: x.mean(dim=(2, 3))), 1, r"of \(2, 1\) for images of .*each pixel"),
    "nan": (Returning(lambda x: x * math.nan), 1, "not finite.*damaged"),
    "an error": (
        Returning(lambda x: x @ x.new_zeros(5)),
        1,
        r"fails .*\(2, 3, 32, 64\).*Runtime",
    ),
}


@pytest.mark.parametrize(("model", "n_out", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused_with_what_to_change(model, n_out, message):
    with pytest.raises(ArchitectureError, match=message):
        check_network(model, 3, n_out, (32, 64))


def test_torchvisions_dictionary_is_named():
    model = torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=3
    )
    with pytest.raises(ArchitectureError, match=r'keys .out.*returns output\["out"\]'):
        check_network(model, 3, 3, (32, 32))


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize(
    "make",
    [
        convolution,
        lambda n_out: UNet(3, n_out, depth=2, width=4),
        lambda n_out: UNet(3, n_out, depth=2, width=4, deep_supervision=True),
        lambda n_out: smp.Unet("resnet18", encoder_weights=None, classes=n_out),
        lambda n_out: convolution(n_out, nn.Tanh()),
    ],
)
def test_a_network_that_gives_logits_passes(make, n_out):
    check_network(make(n_out), 3, n_out, (32, 64))


def test_a_head_of_zeros_passes():
    model = convolution(1)
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    check_network(model, 3, 1, (16, 16))


def test_it_leaves_the_network_and_the_random_numbers_as_they_were():
    class Remembering(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.head = nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, images):
            self.calls += 1
            return self.head(self.norm(images)) + 0.1 * torch.rand_like(images[:, :1])

    model = Remembering()
    model.norm.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    check_network(model, 3, 1, (16, 16))
    assert model.training
    assert not model.norm.training
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)
    torch.testing.assert_close(torch.get_rng_state(), random)
    model(torch.randn(1, 3, 8, 8)).sum().backward()  # nothing was kept that has no gradient
