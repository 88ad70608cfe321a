"""Any other loss as a `SegmentationLoss`: of fastai, torch, a library, or the user's own function.

How a loss wants logits and truth is not asked for but tried, on a few synthetic pixels, before
training: the first way in which right logits cost clearly less than wrong ones is used.
"""

import copy
import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fastunet.data.masks import VOID
from fastunet.errors import TrainingError
from fastunet.losses.base import Batch, Reduction, SegmentationLoss

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


class AdaptedLoss(SegmentationLoss):
    """A loss of another kind with what ours have: void left out, float32, activation, decoding.

    Void is taken out before the loss sees a batch. The pixels that count are then one row, logits
    (1, C, K, 1) and truth (1, K, 1), so that a loss that needs the picture's shape gets it only
    where a batch holds no void, or where the loss has our `ignore_index` and leaves void alone.
    A batch of nothing but void costs 0. What is not a scalar is averaged, and a loss that adds up
    (`reduction="sum"`) is set to average, since its size would change with the void.

    A binary task is one channel of logits x; a loss that wants a channel per class sees (0, x).

    >>> AdaptedLoss(nn.CrossEntropyLoss())
    >>> AdaptedLoss(lambda logits, truth: F.binary_cross_entropy_with_logits(logits, truth))

    Raises `TrainingError` where no way of calling it tells right logits from wrong ones.
    """

    def __init__(
        self,
        loss: Callable,  # of logits and truth
        n_out: int | None = None,  # channels of the logits; None: known with the first batch
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
        device: str | torch.device = "cpu",  # where the loss is tried if it does not run on a CPU
    ):
        super().__init__(ignore_index, reduction)
        self.loss = _without_flattening(loss)
        if getattr(self.loss, "reduction", None) == "sum":
            warnings.warn(
                f'{_name(loss)} adds up its losses (reduction="sum"); their mean is taken, which '
                "does not grow with the batch.",
                stacklevel=2,
            )
            self.loss.reduction = "mean"
        self.way: tuple[str, str] | None = None  # how logits and truth are given
        self._sees_void = False
        self._device: torch.device | None = None
        if n_out is not None:
            self.find_way(n_out, device)

    def find_way(
        self,
        n_out: int,  # channels of the logits
        device: str | torch.device = "cpu",
    ) -> None:
        """Find how the loss is called for logits of `n_out` channels, by trying."""
        tried = {}
        for place in dict.fromkeys([torch.device("cpu"), torch.device(device)]):
            loss = _copy_on(self.loss, place)
            for way in _WAYS if n_out == 1 else [w for w in _WAYS if w[0] == "logits"]:
                # an index out of range is an error on a CPU and the end of a CUDA process
                if place.type != "cpu" and n_out == 1 and way == _WAYS[0]:
                    continue
                problem = _problem(loss, way, n_out, place)
                if problem is None:
                    self.way = way
                    void = self.ignore_index
                    self._sees_void = getattr(self.loss, "ignore_index", None) == void and (
                        _leaves_void_alone(loss, way, n_out, place, void)
                    )
                    return
                tried[" and ".join(way)] = problem
        raise TrainingError(_refusal(self.loss, tried))

    def compute(self, batch: Batch) -> Tensor:
        if self.way is None:
            self.find_way(batch.logits.shape[1], batch.logits.device)
        if self._device != batch.logits.device:  # fastai moves losses only when a fit starts
            self._device = batch.logits.device
            self.to(self._device)
        logits, target = batch.logits.contiguous(), batch.known
        if not batch.counts.all():
            if not batch.counts.any():
                return batch.logits.sum() * 0
            if self._sees_void:
                target = batch.target
            else:
                logits, target = _as_row(logits, target, batch.counts)
        return _call(self.loss, self.way, logits, target)

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        _map_tensors(self.loss, fn)
        return self

    def extra_repr(self) -> str:
        called = "" if isinstance(self.loss, nn.Module) else f"{_name(self.loss)}, "
        return called + (" and ".join(self.way) if self.way else "not tried yet")


def adapt_loss(
    loss: Callable | type,  # a loss, or a class of losses that needs no arguments
    n_out: int,  # channels of the logits
    device: str | torch.device = "cpu",  # where it will be computed
) -> SegmentationLoss:
    """`loss` as it is where it is one of ours, an `AdaptedLoss` of it otherwise.

    Raises `TrainingError` where it is no loss, or one that does not fit logits and class indices.
    """
    if isinstance(loss, type):
        try:
            loss = loss()
        except TypeError as error:
            raise TrainingError(
                f"loss_func={loss.__name__} is a class, which cannot be made without arguments "
                f"({error}). Pass a loss made of it: loss_func={loss.__name__}(...)."
            ) from error
    if not callable(loss):
        raise TrainingError(
            f"loss_func={loss!r}: a loss was expected, such as CombinedLoss() or any function of "
            "logits and class indices."
        )
    if not isinstance(loss, SegmentationLoss):
        return AdaptedLoss(loss, n_out, device=device)
    for module in loss.modules():
        if isinstance(module, AdaptedLoss):
            module.find_way(n_out, device)
    return loss


def _without_flattening(loss: Callable) -> Callable:
    """The loss inside fastai's `BaseLoss`, which only reshapes what it gets."""
    names = {(c.__module__, c.__name__): c for c in type(loss).__mro__}
    base = names.get(("fastai.losses", "BaseLoss"))
    if base is not None and type(loss).__call__ is base.__call__:
        return loss.func
    return loss


def _name(loss: Callable) -> str:
    return getattr(loss, "__name__", type(loss).__name__)


def _one_hot(target: Tensor, channels: int) -> Tensor:
    """(B, H, W) class indices as (B, channels, H, W) float; one channel is the foreground."""
    if channels == 1:
        return target[:, None].float()
    return nn.functional.one_hot(target, channels).movedim(-1, 1).float().contiguous()


def _as_row(logits: Tensor, target: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """(1, C, K, 1) logits and (1, K, 1) indices of the K pixels that count."""
    row = logits.movedim(1, -1)[counts].T.contiguous()
    return row[None, :, :, None], target[counts][None, :, None]


def _call(loss: Callable, way: tuple[str, str], logits: Tensor, target: Tensor) -> Tensor:  # ()
    given = _LOGITS[way[0]](logits)
    truth = _TRUTH[way[1]](target, given.shape[1])
    value = loss(given, truth.to(logits) if truth.is_floating_point() else truth)
    if not isinstance(value, Tensor):
        raise TypeError(f"it gave a {type(value).__name__}, no tensor")
    return value.as_subclass(Tensor).mean()


def _copy_on(loss: Callable, device: torch.device) -> Callable:
    """A copy to try on `device`, so that what the loss remembers stays as it was."""
    try:
        loss = copy.deepcopy(loss)
    except Exception:  # what cannot be copied is tried itself, and not moved
        return loss
    if isinstance(loss, nn.Module):
        loss.to(device)
    _map_tensors(loss, lambda tensor: tensor.to(device))
    return loss


def _map_tensors(loss: Callable, fn: Callable[[Tensor], Tensor]) -> None:
    """Apply `fn` to plain tensors, such as class weights, which no `nn.Module` takes along."""
    for part in loss.modules() if isinstance(loss, nn.Module) else [loss]:
        for name, value in list(getattr(part, "__dict__", {}).items()):
            if isinstance(value, Tensor):
                setattr(part, name, fn(value))


# --- trying -------------------------------------------------------------------------------------


def _problem(loss: Callable, way: tuple[str, str], n_out: int, device: torch.device) -> str | None:
    """Why `loss` cannot be called that way; None where it can."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _judge(loss, way, n_out, device)
        except Exception as error:  # a loss that is called wrongly may raise anything
            first_line = str(error).strip().partition("\n")[0][:80]
            return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _judge(loss: Callable, way: tuple[str, str], n_out: int, device: torch.device) -> str | None:
    target = _truth(n_out).to(device)
    wrong = (target + 1) % max(2, n_out)
    near, far = 6.0, 14.0  # of logits; beyond, a probability of 1 is all that float32 knows

    def cost(logits: Tensor) -> Tensor:
        return _call(loss, way, logits, target)

    right = cost(_logits(target, n_out, near)).item()
    # a smoothed loss asks for less than certainty
    right = min(right, cost(_logits(target, n_out, 1.0)).item())
    sure, worst = (cost(_logits(answer, n_out, far)).item() for answer in (target, wrong))
    others = {
        "wrong ones": _logits(wrong, n_out, near),
        "those of another image": _logits(target.flip(0), n_out, near),
        "class 0 everywhere": _logits(torch.zeros_like(target), n_out, near),
        "class 1 everywhere": _logits(torch.ones_like(target), n_out, near),
        "high ones everywhere": torch.full_like(_logits(target, n_out, near), near),
    }
    for name, logits in others.items():
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


def _leaves_void_alone(
    loss: Callable, way: tuple[str, str], n_out: int, device: torch.device, void: int
) -> bool:
    """Whether pixels of `void` in the truth have no part in the loss, and no gradient."""
    if way[1] == "one channel per class":
        return False
    target = _truth(n_out).to(device)
    answer = (target + 1) % max(2, n_out)
    target[:, :2] = void
    other = answer.clone()
    other[:, :2] = 0
    try:
        logits = _logits(answer, n_out, 4.0).requires_grad_()
        value = _call(loss, way, logits, target)
        (slope,) = torch.autograd.grad(value, logits)
        same = _call(loss, way, _logits(other, n_out, 4.0), target)
    except Exception:  # then it does not see void
        return False
    return not slope[:, :, :2].any() and slope.any() and torch.allclose(value, same)


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
        f"loss_func: {_name(loss)} does not tell right logits (raw scores) from wrong ones, and no "
        f"network can be trained with it. Tried {attempts}. Use CombinedLoss() or "
        f"PixelCrossEntropyLoss(), or a loss of logits and class indices{hint}."
    )
