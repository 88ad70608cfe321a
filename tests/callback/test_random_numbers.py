"""Trials that leave the random numbers as they are."""

import numpy as np
import torch
from fastai.torch_core import set_seed

from fastunet.callback.random_numbers import same_random_numbers
from fastunet.data.dataloaders import ImageMaskDataLoaders


def test_a_trial_leaves_no_trace_in_what_is_drawn_afterwards(write_pairs):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(12), size=16, bs=2, device="cpu")

    def drawn():
        batches = [images for images, _ in dls.train]
        return [*batches, torch.rand(3), torch.from_numpy(np.random.rand(3))]

    set_seed(1)
    with same_random_numbers(dls):
        first = drawn()
    again = drawn()
    for ours, theirs in zip(first, again, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
