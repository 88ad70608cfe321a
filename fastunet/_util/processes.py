"""The processes of a distributed run: which one this is, and what they agree on.

`torchrun` and `accelerate launch` start a program several times and tell each process its number by
environment variables. Without a launcher there is one process, and nothing here does anything or
imports PyTorch.
"""

import os
import pickle
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

_PATIENCE = timedelta(days=7)  # while the first process measures, evaluates, or waits for a disk
_RESULT, _TOLD = "result", "told"  # keys of the store
_LEFT = (  # what gloo and NCCL say where another process has ended
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "remote process exited",
)
_LAUNCHED = int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1
_RANK = int(os.environ["RANK"]) if _LAUNCHED > 1 else 0
_store: Any = None  # where processes leave each other notes; the first's, or the launcher's
_patient: Any = None  # the group whose members wait for each other on the CPU


def rank() -> int:
    """The number of this process, from 0."""
    return _RANK


def launched() -> int:
    """How many processes the launcher started; 1 without one."""
    return _LAUNCHED


def on_this_machine() -> int:
    """How many of them share this machine, its cores and its memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0


def count() -> int:
    """How many processes train together now: 1 before `begin` and after `end`."""
    return launched() if _patient is not None else 1


# --- begin and end --------------------------------------------------------------------------------


def begin() -> None:
    """Meet the other processes, where a launcher has started some; all of them must call it."""
    global _store, _patient
    if launched() == 1 or _patient is not None:
        return
    import torch
    from torch import distributed as dist

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if not dist.is_initialized():
        store, number, size = next(dist.rendezvous("env://"))
        _store = dist.PrefixStore("fastunet", store)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(
            backend, store=dist.PrefixStore("group", store), rank=number, world_size=size
        )
    _patient = dist.new_group(backend="gloo", timeout=_PATIENCE)


def end() -> None:
    """Part from the other processes: from here on each is on its own."""
    global _patient
    if _patient is None:
        return
    from torch import distributed as dist

    _patient = None
    os.environ["WORLD_SIZE"] = "1"  # by which fastai gathers predictions
    dist.destroy_process_group()


def silence() -> None:
    """Let all processes but the first be silent; `speak_of_errors` lifts it for errors."""
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115  # for as long as the process lives
    sys.stdout = sys.stderr = nowhere
    os.environ["TERM"] = "dumb"  # no bars
    warnings.simplefilter("ignore")


def speak_of_errors() -> None:
    """From here on an error may be that of this process alone."""
    if not is_first() and sys.__stderr__ is not None:
        sys.stderr = sys.__stderr__


def first_to_tell() -> bool:
    """Whether no other process has told of an error yet: one message is enough."""
    if _store is None:
        return is_first()
    with suppress(RuntimeError):
        return _store.add(_TOLD, 1) == 1
    return is_first()  # the store went with the first process, which has told


def was_left(error: BaseException) -> bool:
    """Whether the error says that another process of the run has ended."""
    if launched() == 1 or not isinstance(error, RuntimeError):
        return False
    from torch import distributed as dist

    return isinstance(error, dist.DistNetworkError) or any(sign in str(error) for sign in _LEFT)


# --- what they agree on: all processes must call these, in the same order -------------------------


def from_first(make: Callable[[], Value]) -> Value:
    """What `make` gives in the first process; in the others it is not called."""
    if count() == 1:
        return make()
    from torch import distributed as dist

    holder = [make() if is_first() else None]
    dist.broadcast_object_list(holder, src=0, group=_patient)
    return holder[0]  # type: ignore[return-value]  # of the first process


def clock() -> float:
    """`time.perf_counter` of the first process, so that all decide alike by it."""
    if count() == 1:
        return time.perf_counter()
    import torch
    from torch import distributed as dist

    now = torch.tensor([time.perf_counter()], dtype=torch.float64)
    dist.broadcast(now, src=0, group=_patient)
    return float(now)


def highest(number: int) -> int:
    """The highest of the numbers that the processes give."""
    if count() == 1:
        return number
    import torch
    from torch import distributed as dist

    numbers = torch.tensor([number])
    dist.all_reduce(numbers, dist.ReduceOp.MAX, group=_patient)
    return int(numbers)


def result_of_first(make: Callable[[], Value]) -> Value:
    """As `from_first`, after `end`: the others wait, however long it takes."""
    if _store is None:
        return make()
    if is_first():
        value = make()
        _store.set(_RESULT, pickle.dumps(value))
        return value
    while not _store.check([_RESULT]):
        time.sleep(0.2)  # in which a signal is heard
    return pickle.loads(_store.get(_RESULT))


# --- how a batch is divided -----------------------------------------------------------------------


def part_of(
    size: int,  # of a batch
    number: int,  # of the process
    processes: int,  # that share the batch
) -> slice:
    """The images of a batch that belong to a process; parts differ by one image at most."""
    return slice(number * size // processes, (number + 1) * size // processes)


def gathered(
    own: "torch.Tensor",  # (n, ...) this process's part of the batch
    size: int,  # of the whole batch
) -> "torch.Tensor":  # (size, ...)
    """The whole batch, in its order; a gradient flows into this process's part only."""
    import torch
    from torch import distributed as dist

    parts = [part_of(size, number, count()) for number in range(count())]
    sizes = [part.stop - part.start for part in parts]
    sent = own.detach().as_subclass(torch.Tensor).contiguous()
    if len(sent) < max(sizes):  # all send as much
        sent = torch.cat([sent, sent.new_zeros(max(sizes) - len(sent), *sent.shape[1:])])
    received = [torch.empty_like(sent) for _ in parts]
    dist.all_gather(received, sent)
    whole = [one[:n] for one, n in zip(received, sizes, strict=True)]
    whole[rank()] = own.as_subclass(torch.Tensor)
    return torch.cat(whole)
