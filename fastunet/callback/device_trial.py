"""What a device lacks is found by one step of training and one of validation."""

import re

from fastai.callback.tracker import TrackerCallback
from fastai.learner import Learner

from fastunet.callback.guard import Guard
from fastunet.callback.time_budget import StepTimer
from fastunet.callback.trial import trial
from fastunet.errors import TrainingError


def try_device(learn: Learner) -> None:
    """Train and validate a few batches where the network is, without a trace.

    Raises `TrainingError` that names an operation which PyTorch lacks on the device or in the
    number format. That was tried with stand-ins, on a machine with a CPU only.
    """
    judges = [cb for cb in learn.cbs if isinstance(cb, TrackerCallback | Guard)]
    with trial(learn), learn.removed_cbs(judges), learn.no_logging(), learn.no_bar():
        try:
            learn.fit(1, lr=0.0, cbs=StepTimer(limit=0.0))
            if len(learn.dls.valid):
                learn.validate(dl=[learn.dls.valid.one_batch()])
        except (NotImplementedError, RuntimeError) as error:
            device = next(learn.model.parameters()).device
            if message := lacking(error, device.type):
                raise TrainingError(message) from error
            raise


def lacking(
    error: BaseException,
    device: str,  # its type: "mps"
) -> str | None:  # None: the error is of another kind
    """Which operation PyTorch lacks, and what to do."""
    text = str(error)
    if found := re.search(r"The operator '([^']+)' is not currently implemented for", text):
        advice = 'Train on the CPU: device="cpu".'
        if device == "mps":
            advice = (
                "Set PYTORCH_ENABLE_MPS_FALLBACK=1 before Python starts, and the CPU does that "
                'operation; or train on the CPU: device="cpu".'
            )
        return f"PyTorch lacks {found[1]} on {device}. {advice}"
    if found := re.search(r"\"([^\"]+)\" not implemented for '(\w+)'", text):
        return (
            f'PyTorch lacks {found[1]} for {found[2]} on {device}. Train with precision="fp32", or '
            'on the CPU: device="cpu".'
        )
    return None
