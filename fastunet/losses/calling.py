"""How a loss of another library is called is not asked for but tried, before training.

On a few synthetic pixels: the first way in which right logits cost clearly less than wrong ones.
"""

import copy
import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fastunet.errors import TrainingError

Way = tuple[str, str]  # how logits and how the truth are given: keys of the tables below

# how the logits are given: (B, C, H, W) to (B, C or 2, H, W)
_LOGITS: dict[str, Callable[[Tensor], Tensor]] = {
    "logits": lambda logits: logits,
    "two channels of logits": lambda logits: torch.cat([torch.zeros_like(logits), logits], dim=1),
}
# how the truth is given: (B, H, W) class indices and the channels of the logits to any shape
_TRUTH: dict[str, Callable[[Tensor, int], Tensor]] = {
    "class indices (B, H, W)": lambda target, channels: target,
    "one channel per class": lambda target, channels: _one_hot(target, channels),
    "class indices (B, 1, H, W)": lambda target, channels: target[:, None],
}
# in the order in which they are tried; those of two channels are for binary tasks
_WAYS = [
    ("logits", "class indices (B, H, W)"),
    ("logits", "one channel per class"),
    ("two channels of logits", "class indices (B, H, W)"),
    ("logits", "class indices (B, 1, H, W)"),
    ("two channels of logits", "class indices (B, 1, H, W)"),
    ("two channels of logits", "one channel per class"),
]


def find_way(
    loss: Callable,  # of logits and truth
    n_out: int,  # channels of the logits
    device: str | torch.device = "cpu",  # where it is tried if it does not run on a CPU
) -> tuple[Way, Callable]:  # and the copy of the loss that was tried
    """The first way of calling `loss` in which it tells right logits from wrong ones.

    The loss itself and the random numbers stay as they were. Raises `TrainingError` where there is
    no such way.
    """
    tried = {}
    for where in dict.fromkeys([torch.device("cpu"), torch.device(device)]):
        copied = _copy_on(loss, where)
        for way in _WAYS if n_out == 1 else [w for w in _WAYS if w[0] == "logits"]:
            # an index out of range is an error on a CPU and the end of a CUDA process
            if where.type != "cpu" and n_out == 1 and way == _WAYS[0]:
                continue
            problem = _problem(copied, way, n_out, where)
            if problem is None:
                return way, copied
            tried[" and ".join(way)] = problem
    raise TrainingError(_refusal(loss, tried))


def call(
    loss: Callable,
    way: Way,
    logits: Tensor,  # (B, C, H, W)
    target: Tensor,  # (B, H, W) class indices
) -> Tensor:  # ()
    """What `loss` gives, averaged where it gives a value per pixel."""
    given = _LOGITS[way[0]](logits)
    truth = _TRUTH[way[1]](target, given.shape[1])
    value = loss(given, truth.to(logits) if truth.is_floating_point() else truth)
    if not isinstance(value, Tensor):
        raise TypeError(f"it gave a {type(value).__name__}, no tensor")
    return value.as_subclass(Tensor).mean()


def name_of(loss: Callable) -> str:
    """For messages: that of the function, or of the class."""
    return getattr(loss, "__name__", type(loss).__name__)


def _one_hot(target: Tensor, channels: int) -> Tensor:
    """(B, H, W) class indices as (B, channels, H, W) float; one channel is the foreground."""
    if channels == 1:
        return target[:, None].float()
    return nn.functional.one_hot(target, channels).movedim(-1, 1).float().contiguous()


def _copy_on(loss: Callable, device: torch.device) -> Callable:
    """A copy to try on `device`, so that what the loss remembers stays as it was."""
    try:
        loss = copy.deepcopy(loss)
    except Exception:  # what cannot be copied is tried itself, and not moved
        return loss
    if isinstance(loss, nn.Module):
        loss.to(device)
    map_tensors(loss, lambda tensor: tensor.to(device))
    return loss


def map_tensors(loss: Callable, fn: Callable[[Tensor], Tensor]) -> None:
    """Apply `fn` to plain tensors, such as class weights, which no `nn.Module` takes along."""
    for part in loss.modules() if isinstance(loss, nn.Module) else [loss]:
        for name, value in list(getattr(part, "__dict__", {}).items()):
            if isinstance(value, Tensor):
                setattr(part, name, fn(value))


def _problem(loss: Callable, way: Way, n_out: int, device: torch.device) -> str | None:
    """Why `loss` cannot be called that way; None where it can."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _judge(loss, way, n_out, device)
        except Exception as error:  # a loss that is called wrongly may raise anything
            first_line = str(error).strip().partition("\n")[0][:80]
            return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _judge(loss: Callable, way: Way, n_out: int, device: torch.device) -> str | None:
    target = _truth(n_out).to(device)
    wrong = (target + 1) % max(2, n_out)
    near, far = 6.0, 14.0  # of logits; beyond, a probability of 1 is all that float32 knows

    def cost(logits: Tensor) -> Tensor:
        return call(loss, way, logits, target)

    # a smoothed loss asks for less than certainty
    right = min(cost(_logits(target, n_out, size)).item() for size in (near, 1.0))
    sure, worst = (cost(_logits(answer, n_out, far)).item() for answer in (target, wrong))
    worse = {
        "wrong ones": _logits(wrong, n_out, near),
        "those of another image": _logits(target.flip(0), n_out, near),
        "class 0 everywhere": _logits(torch.zeros_like(target), n_out, near),
        "class 1 everywhere": _logits(torch.ones_like(target), n_out, near),
        "high ones everywhere": torch.full_like(_logits(target, n_out, near), near),
    }
    for name, logits in worse.items():
        value = cost(logits.requires_grad_())
        if not value.requires_grad or not torch.autograd.grad(value, logits)[0].any():
            return "no gradient reaches the logits"
        if not all(map(math.isfinite, (right, sure, worst, value.item()))):
            return "it is not finite"
        if not right < value.item() - 1e-4:
            return f"right logits cost {right:.3g}, {name} {value.item():.3g}"
    # logits are right at any size; what is made for probabilities falls, or rises, without end
    if not -0.2 * (worst - sure) < sure - right < 0.5 * (worst - sure):
        return "it wants probabilities or the values themselves, not logits"
    return None


def _truth(n_out: int) -> Tensor:  # (2, side, side)
    """Every class in two images that differ."""
    classes = max(2, n_out)
    side = max(8, int((2 * classes) ** 0.5) + 1)
    generator = torch.Generator().manual_seed(0)
    images = [torch.randperm(side * side, generator=generator) % classes for _ in range(2)]
    return torch.stack(images).reshape(2, side, side)


def _logits(answer: Tensor, n_out: int, size: float) -> Tensor:  # (B, n_out, H, W)
    """Logits of +-`size` that say `answer`."""
    return (2 * _one_hot(answer, n_out) - 1) * size


def leaves_void_alone(
    loss: Callable,  # as `find_way` gave it
    way: Way,
    n_out: int,  # channels of the logits
    void: int,  # the class index that does not count
) -> bool:
    """Whether pixels of `void` in the truth have no part in the loss, and no gradient."""
    if way[1] == "one channel per class":
        return False
    target = _truth(n_out)
    answer = (target + 1) % max(2, n_out)
    target[:, :2] = void
    other = answer.clone()
    other[:, :2] = 0
    try:
        logits = _logits(answer, n_out, 4.0).requires_grad_()
        value = call(loss, way, logits, target)
        (slope,) = torch.autograd.grad(value, logits)
        same = call(loss, way, _logits(other, n_out, 4.0), target)
    except Exception:  # then it does not see void
        return False
    seen = bool(slope.any()) and not slope[:, :, :2].any()
    return seen and torch.allclose(value, same)


def _refusal(loss: Callable, tried: dict[str, str]) -> str:
    ways: dict[str, list[str]] = {}
    for way, problem in tried.items():
        ways.setdefault(problem, []).append(way)
    attempts = "; ".join(f"with {' or '.join(each)}: {problem}" for problem, each in ways.items())
    if len(ways) == 1:
        attempts = f"all ways of calling it: {next(iter(ways))}"
    smp = type(loss).__module__.startswith("segmentation_models_pytorch")
    hint = ', there mode="multiclass" ("binary" for two classes)' if smp else ""
    return (
        f"loss_func: {name_of(loss)} does not tell right logits (raw scores) from wrong ones: no "
        f"network can be trained with it. Tried {attempts}. Use CombinedLoss() or "
        f"PixelCrossEntropyLoss(), or a loss of logits and class indices{hint}."
    )
