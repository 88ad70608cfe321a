"""Which families of timm's encoders a U-Net can stand on: a training step with one of each.

`python -m benchmarks.encoders [--families resnet,swin_transformer] [--size 64]`

Of each family (a module of timm) the smallest member with feature maps becomes a TimmUNet with
random weights and does a forward pass, a backward pass and an optimizer step in training mode. It
works when logits of the image's size come out, the loss is finite and every parameter has a
gradient.
"""

import argparse
import gc
from dataclasses import dataclass

import timm
import torch
from torch.nn import functional as F

from fastunet.models.timm_unet import TimmUNet

CLASSES = 2


@dataclass
class Member:
    """The smallest member of a family, and what came of it."""

    family: str
    name: str
    strides: list[int]  # of its features; a single one where there is no pyramid
    parameters: int  # of the encoder alone
    failure: str = ""


def smallest_member(family: str) -> Member | None:
    """The smallest encoder of a family; None where no model of it gives feature maps."""
    members = []
    for name in timm.list_models(module=family):
        try:
            with torch.device("meta"):  # shapes without numbers: built in no time
                encoder = timm.create_model(name, features_only=True)
        except (AssertionError, RuntimeError):
            continue
        strides = list(dict.fromkeys(encoder.feature_info.reduction()))
        parameters = sum(parameter.numel() for parameter in encoder.parameters())
        members.append(Member(family, name, strides, parameters))
    return min(members, key=lambda member: member.parameters, default=None)


def train_one_step(name: str, size: int) -> str:
    """Train a network over the encoder for one step; returns what is wrong with it, or ''."""
    torch.manual_seed(0)
    model = TimmUNet(name, n_classes=CLASSES, image_size=(size, size)).train()
    images, masks = torch.randn(2, 3, size, size), torch.randint(CLASSES, (2, size, size))
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    logits = model(images)
    if logits.shape != (2, CLASSES, size, size):
        return f"logits of shape {tuple(logits.shape)}"
    loss = F.cross_entropy(logits, masks)
    if not loss.isfinite():
        return f"a loss of {loss.item()}"
    loss.backward()
    idle = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    if idle:
        return f"{len(idle)} parameters without gradient: {', '.join(idle[:3])}"
    optimizer.step()
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", help="modules of timm, with commas; default: all")
    parser.add_argument("--size", type=int, default=64, help="height and width, pixels")
    args = parser.parse_args()
    families = args.families.split(",") if args.families else timm.models.list_modules()

    print(f"timm {timm.__version__}, torch {torch.__version__}, {args.size} px")
    print(f"{'family':<26} {'member':<36} {'strides':<15} {'encoder':>8}  works")
    members, without = [], []
    for family in families:
        member = smallest_member(family)
        if member is None:
            without.append(family)
            continue
        members.append(member)
        try:
            member.failure = train_one_step(member.name, args.size)
        except Exception as error:  # whatever a family raises is what the table is for
            member.failure = f"{type(error).__name__}: {error}".splitlines()[0]
        print(
            f"{member.family:<26} {member.name:<36} {' '.join(map(str, member.strides)):<15} "
            f"{member.parameters / 1e6:>6.1f} M  {member.failure or 'yes'}",
            flush=True,
        )
        gc.collect()  # networks that hold themselves in a cycle
    pyramids = [member for member in members if len(member.strides) > 1]
    for kind, among in {"all families": members, "families with a pyramid": pyramids}.items():
        works = sum(not member.failure for member in among)
        print(f"{kind}: {works} of {len(among)} work ({works / max(1, len(among)):.1%})")
    print(f"without feature maps, not counted: {', '.join(without) or 'none'}")


if __name__ == "__main__":
    main()
