"""What `lr_find` adds to fastai's: an end in time, and its suggestion in the picture."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from fastai.learner import Learner

from fastunet._util.processes import from_first
from fastunet.callback.time_budget import measure

LEAST = 20  # batches; the curve of fewer says nothing


def batches_within(
    learn: Learner,
    wanted: int,  # batches
    seconds: float,  # for them, and for measuring how long one takes
) -> int:
    """How many of the batches fit into the time."""
    seconds = from_first(lambda: seconds)
    step = measure(learn, limit=0.1 * seconds).train
    return max(0, min(wanted, int(0.85 * seconds / step)))


def plot_rates(
    rates: Sequence[float],  # of each batch
    losses: Sequence[float],  # smoothed
    suggestions: Mapping[str, float],  # rates, by how they were found
):
    """The loss against the learning rate; each suggestion is marked and written out.

    What lies far above the first loss is left out. Returns the matplotlib axes.
    """
    _, axis = plt.subplots()
    axis.plot(rates, losses)
    for number, (name, rate) in enumerate(suggestions.items(), 1):
        loss = float(np.interp(np.log(rate), np.log(rates), losses))
        axis.axvline(rate, color=f"C{number}", linestyle=":", linewidth=1)
        axis.plot(rate, loss, "o", color=f"C{number}", label=f"{name}: {rate:.2g}")
    low, first = float(np.nanmin(losses)), float(losses[0])
    margin = 0.1 * (first - low) or 0.1
    axis.set(
        xscale="log",
        xlabel="Learning rate",
        ylabel="Loss",
        ylim=(low - margin, first + 3 * margin),
    )
    if suggestions:
        axis.legend()
    return axis
