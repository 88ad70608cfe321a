"""What the clock decided is noted, and done again without a clock."""

import torch
from fastai.torch_core import set_seed

from fastunet.callback.clock import ClockRecord, fit_again
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner
from fastunet.plan import Clock


def learner(root):
    set_seed(2)
    dls = ImageMaskDataLoaders.from_folder(root, size=16, bs=2, device="cpu")
    return segmentation_learner(dls, width=4, depth=2, save_best=False)


def test_a_fit_by_the_clock_is_repeated_batch_by_batch_and_bit_for_bit(write_pairs):
    root = write_pairs(12)
    first, record = learner(root), ClockRecord()
    schedule = first.fit_minutes(0.03, 1e-3, cbs=[record])
    clock = record.clock(schedule.batches)
    assert [len(epoch) for epoch in clock.steps] == [len(epoch) for epoch in record.steps]
    assert all(0 <= step <= 1_000_000 for epoch in clock.steps for step in epoch)
    again = learner(root)
    fit_again(again, clock, 1e-3, [])
    for ours, theirs in zip(first.model.parameters(), again.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_epochs_end_where_the_record_says(write_pairs):
    learn, record = learner(write_pairs(12)), ClockRecord()
    clock = Clock(3, ((0, 100_000, 200_000), (500_000,), (900_000, 1_000_000)))
    fit_again(learn, clock, 1e-3, [record])
    assert [len(epoch) for epoch in record.steps] == [3, 1, 2]
