"""Where warnings point."""

import warnings

import numpy as np
import pytest

from fastunet.errors import FastunetWarning
from fastunet.masks.codec import MaskCodec
from fastunet.preprocess import Preprocess


def test_a_warning_points_at_the_line_of_the_user(write_pairs):
    masks = sorted((write_pairs(3) / "masks").iterdir())
    with pytest.warns(FastunetWarning, match="void=77") as said:
        MaskCodec.infer(masks, void=77)
    assert said[0].filename == __file__


def test_fastunets_warnings_can_be_silenced_together():
    dark = Preprocess(channels=1, values="float", low=(0.0,), high=(9.0,), brightest=(0.5, 1.0))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", FastunetWarning)
        dark.prepare(np.full((4, 4, 1), 1e4, np.float32))
    assert not said
