"""AdamW as fastai has it, stepped by PyTorch's fused kernel, and the cautious one."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from fastai.optimizer import Optimizer
from torch import Tensor
from torch.optim.adamw import adamw

_FUSED_ON = ("cpu", "cuda", "mps")  # devices for which PyTorch has the kernel


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).

    Steps, hyperparameters and defaults are those of fastai's `Adam`; that one goes through the
    parameters one by one and takes three times as long.
    """

    def __init__(
        self,
        params: Iterable,  # parameters, or groups of them
        lr: float | slice,
        mom: float = 0.9,  # of the average of the gradients (beta 1)
        sqr_mom: float = 0.99,  # of the average of their squares (beta 2)
        eps: float = 1e-5,
        wd: float = 0.01,  # none for biases and normalisation, unless `Learner(wd_bn_bias=True)`
    ):
        super().__init__(params, [], lr=lr, mom=mom, sqr_mom=sqr_mom, eps=eps, wd=wd)

    @classmethod
    def cautious(cls, params: Iterable, lr: float | slice, **options: float) -> "AdamW":
        """One that steps only where the mean gradient and that of the batch have one sign.

        What is left of the step is scaled up by the share that was left out (Liang et al. 2024,
        Cautious Optimizers, arXiv:2411.16085; the same steps as timm's). What it brings:
        `python -m benchmarks.recipe`. `options` are those of `AdamW`.
        """
        made = cls(params, lr, **options)
        made._is_cautious = True
        return made

    _is_cautious = False

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Step every parameter that has a gradient."""
        if closure is not None:
            raise NotImplementedError("Optimizers of fastai take no closure.")
        alike = defaultdict(list)  # by the number of their group, and whether they decay
        for number, group in enumerate(self.param_lists):
            for p in group:
                if p.grad is not None:
                    alike[number, self.state[p].get("do_wd", True)].append(p)
        for (number, decays), parameters in alike.items():
            self._step(parameters, self.hypers[number], decays)

    def _step(self, parameters: list[Tensor], hyper: dict[str, Any], decays: bool) -> None:
        states = [self.state[p] for p in parameters]
        for p, state in zip(parameters, states, strict=True):
            if "step" not in state:
                state["grad_avg"] = torch.zeros_like(p)
                state["sqr_avg"] = torch.zeros_like(p)
                state["step"] = torch.zeros((), device=p.device)
        if self._is_cautious:
            for p, state in zip(parameters, states, strict=True):
                _step_cautiously(p, state, hyper, decays)
            return
        adamw(
            parameters,
            [p.grad for p in parameters if p.grad is not None],
            [state["grad_avg"] for state in states],
            [state["sqr_avg"] for state in states],
            [],
            [state["step"] for state in states],
            fused=all(p.device.type in _FUSED_ON and _laid_out_alike(p) for p in parameters),
            amsgrad=False,
            beta1=float(hyper["mom"]),
            beta2=float(hyper["sqr_mom"]),
            lr=float(hyper["lr"]),
            weight_decay=float(hyper["wd"]) if decays else 0.0,
            eps=float(hyper["eps"]),
            maximize=False,
        )


def _step_cautiously(p: Tensor, state: dict[str, Any], hyper: dict[str, Any], decays: bool) -> None:
    lr, mom, sqr_mom = (float(hyper[name]) for name in ("lr", "mom", "sqr_mom"))
    grad, average, squares = p.grad, state["grad_avg"], state["sqr_avg"]
    assert grad is not None
    state["step"] += 1
    if decays:
        p.mul_(1 - lr * float(hyper["wd"]))
    average.lerp_(grad, 1 - mom)
    squares.mul_(sqr_mom).addcmul_(grad, grad, value=1 - sqr_mom)
    agrees = (average * grad > 0).to(p.dtype)
    agrees /= agrees.mean().clamp(min=1e-3)
    mean = average * agrees / (1 - mom ** state["step"])
    deviation = (squares / (1 - sqr_mom ** state["step"])).sqrt_().add_(float(hyper["eps"]))
    p.addcdiv_(mean, deviation, value=-lr)


def _laid_out_alike(p: Tensor) -> bool:
    """Whether weight and gradient have one memory layout; the fused kernel takes that for granted.

    The averages have the weight's, from `zeros_like`; a checkpoint keeps it.
    """
    return p.grad is not None and p.stride() == p.grad.stride()


OPTIMIZERS = {"adamw": AdamW, "cautious": AdamW.cautious}
"""What makes an optimizer of parameters and a rate, by its name in a plan."""
