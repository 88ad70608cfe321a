"""One forward pass tells whether a network maps these images to logits of these classes."""

import re
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fastunet.errors import ArchitectureError


def check_network(
    model: nn.Module,
    channels: int,  # of the images
    n_out: int,  # channels of the logits: 1 for two classes, else one per class
    size: tuple[int, int],  # (height, width) at which it will be trained
    device: str | torch.device = "cpu",  # where it will be trained; it is moved there
) -> None:
    """Refuse a network that cannot be trained on such images, with what to change.

    It sees two batches of noise in evaluation mode; its weights, statistics and modes, and the
    random numbers that follow, stay as they were.

    Raises `ArchitectureError` where the network takes other channels, fails, gives no tensor or one
    of another shape, gives probabilities instead of logits, or holds weights that are not finite.
    """
    model.to(device)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, channels, *size, generator=generator).to(device)
    with as_it_was(model):
        outputs = [_forward(model, noise * scale, n_out) for scale in (1, 10)]
    if not all(output.isfinite().all() for output in outputs):
        raise ArchitectureError(
            f"{_name(model)} gives values that are not finite (nan or infinity) for images of "
            "noise: its weights are damaged. Build it again, or load other weights."
        )
    if all(_are_probabilities(output) for output in outputs):
        total = outputs[0].sum(dim=1)
        sums_to_one = torch.allclose(total, torch.ones_like(total), atol=1e-3)
        last = "softmax" if n_out > 1 and sums_to_one else "sigmoid"
        raise ArchitectureError(
            f"{_name(model)} ends in a {last}: its output lies between 0 and 1. Losses and metrics "
            f"want logits (raw scores). Remove the {last} (activation=None in "
            "segmentation_models_pytorch)."
        )


def _forward(model: nn.Module, images: Tensor, n_out: int) -> Tensor:
    name, given = _name(model), tuple(images.shape)
    try:
        output = model(images)
    except Exception as error:  # a network may raise anything
        raise ArchitectureError(_why(name, given, error)) from error
    if not isinstance(output, Tensor):
        raise ArchitectureError(_no_tensor(name, output))
    output = output.detach().as_subclass(Tensor).float()
    found, expected = tuple(output.shape), (given[0], n_out, *given[2:])
    if found == expected:
        return output
    if len(found) != 4 or found[0] != given[0]:
        problem = f"logits of the shape {expected} were expected: one score for each pixel."
    elif found[1] != n_out:
        two = "two classes, of which one channel says how sure the foreground is"
        classes = two if n_out == 1 else f"{n_out} classes, with a channel for each"
        problem = (
            f"it has {_channels(found[1])}, {n_out} expected: the masks hold {classes}. Build it "
            f"with n_classes={n_out} (classes={n_out} in segmentation_models_pytorch)."
        )
    else:
        problem = (
            f"it has {found[2]}x{found[3]} pixels (height x width), {given[2]}x{given[3]} were "
            "expected. Scale the logits to the size of the input: torch.nn.functional.interpolate("
            "logits, images.shape[2:])."
        )
    raise ArchitectureError(f"{name} gives an output of {found} for images of {given}; {problem}")


def _why(name: str, given: tuple[int, ...], error: Exception) -> str:
    text = str(error).strip()
    wanted = re.search(r"to have (\d+) channels, but got (\d+) channels", text)
    if wanted and int(wanted[2]) == given[1]:
        return (
            f"{name} takes images of {_channels(int(wanted[1]))}; these have {given[1]}. Build it "
            f"with in_channels={given[1]}, or read the images with channels={wanted[1]}."
        )
    return (
        f"{name} fails on a batch of images of the shape {given} (images, channels, height, width) "
        f"with {type(error).__name__}: {text or 'no message'}"
    )


def _no_tensor(name: str, output: object) -> str:
    message = f"{name} gives a {type(output).__name__}, no tensor of logits."
    if isinstance(output, dict):
        keys = ", ".join(map(repr, output))
        key = "out" if "out" in output else next(iter(output), "out")
        message += f' It has the keys {keys}: wrap it in a module that returns output["{key}"].'
    elif isinstance(output, list | tuple):
        message += " Wrap it in a module that returns the element that holds the logits."
    return message


def _are_probabilities(output: Tensor) -> bool:
    return bool(output.min() >= 0 and output.max() <= 1 and output.std() > 1e-6)


def _channels(number: int) -> str:
    return f"{number} channel" if number == 1 else f"{number} channels"


def _name(model: nn.Module) -> str:
    return f"The network {type(model).__name__}"


@contextmanager
def as_it_was(model: nn.Module):
    """Evaluation mode without gradients; modes, statistics and random numbers are put back.

    Not `inference_mode`: what a network makes and keeps there can never have gradients.
    """
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.random.fork_rng(), torch.no_grad():
            model.eval()
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for name, buffer in model.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])
