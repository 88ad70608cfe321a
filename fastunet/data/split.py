"""Which pairs are trained on, validated on and tested on."""

import random
from collections.abc import Sequence
from dataclasses import replace

from fastunet.data.pairs import Pair
from fastunet.errors import SplitError


def split_pairs(
    pairs: Sequence[Pair],
    valid_pct: float = 0.2,  # share held out where there is no validation part
    seed: int = 42,
) -> dict[str, list[Pair]]:
    """The pairs by part, each marked with it. Parts that exist are kept; the rest is drawn.

    Pairs without a part, or a training part without a validation part, are split at random: the
    same way for the same names and seed, in whatever order they come.
    """
    if not 0 < valid_pct < 1:
        raise SplitError(f"valid_pct={valid_pct}; a share between 0 and 1 was expected.")
    parts: dict[str, list[Pair]] = {"train": [], "valid": [], "test": []}
    for pair in pairs:
        parts[pair.split or "train"].append(pair)
    if not parts["valid"]:
        pool = sorted(parts["train"], key=lambda pair: (pair.image.name, str(pair.image)))
        if len(pool) < 2:
            raise SplitError(
                f"{len(pool)} pair{'' if len(pool) == 1 else 's'} to train on; at least 2 are "
                "needed, one to learn from and one to validate on."
            )
        random.Random(seed).shuffle(pool)
        held_out = min(len(pool) - 1, max(1, round(valid_pct * len(pool))))
        parts["valid"], parts["train"] = pool[:held_out], pool[held_out:]
    elif not parts["train"]:
        raise SplitError("There is a validation part but no pair to train on.")
    return {name: [replace(pair, split=name) for pair in part] for name, part in parts.items()}
