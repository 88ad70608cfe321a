"""fastai's data loader with threads."""

import pytest
import torch
from fastai.torch_core import set_seed

from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.data.transforms import RandomView
from fastunet.errors import ImageReadError


def loaders(root, **kwargs):
    return ImageMaskDataLoaders.from_folder(root, **{"size": 32, "device": "cpu", **kwargs})


def test_the_number_of_threads_does_not_change_the_batches(write_pairs):
    root = write_pairs(12)
    batches = []
    for threads in (0, 1, 3):
        set_seed(5)
        batches.append([images for images, _ in loaders(root, bs=2, num_workers=threads).train])
    for others in batches[1:]:
        for ours, theirs in zip(batches[0], others, strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("threads", [0, 3])
def test_an_epoch_that_is_left_early_and_one_that_fails_leave_no_thread_behind(
    write_pairs, threads, monkeypatch
):
    train = loaders(write_pairs(12), bs=2, num_workers=threads, cache=None).train
    before = torch.get_num_threads()
    for _ in train:
        break

    def broken(*_, **__):
        raise ImageReadError("x.png: cut short")

    monkeypatch.setattr(RandomView, "__call__", broken)
    with pytest.raises(ImageReadError, match="cut short"):
        list(train)
    assert torch.get_num_threads() == before


def test_batches_are_channels_last_for_networks_and_masks_are_whole_numbers(write_pairs):
    images, masks = loaders(write_pairs(8), bs=2).one_batch()
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert masks.dtype == torch.int64
