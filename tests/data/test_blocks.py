"""Blocks for fastai's `DataBlock`."""

import torch
from fastai.data.block import DataBlock
from fastai.data.transforms import RandomSplitter
from fastai.vision.augment import Brightness, Rotate

from fastunet.data.augment import Augment
from fastunet.data.blocks import PairImageBlock, PairMaskBlock
from fastunet.data.dataloaders import renormalised
from fastunet.data.reader import PairReader
from fastunet.data.transforms import OfReader
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.preprocess import Preprocess


def test_blocks_work_in_a_plain_datablock_with_fastais_batch_transforms(write_pairs):
    pairs = find_pairs(write_pairs(8, values=(0, 1, 2)))
    codec = MaskCodec.infer([pair.mask for pair in pairs])
    reader = PairReader(codec, Preprocess.infer([pair.image for pair in pairs], 32))
    block = DataBlock(
        blocks=(PairImageBlock(reader, Augment.none()), PairMaskBlock(reader)),
        splitter=RandomSplitter(0.25, seed=0),
        batch_tfms=[Rotate(30, p=1.0), Brightness(0.3, p=1.0)],
    )
    dls = block.dataloaders(list(pairs), bs=2, num_workers=0, device="cpu")
    images, masks = dls.one_batch()
    assert images.shape == (2, 3, 32, 32)
    assert set(masks.unique().tolist()) <= {0, 1, 2, VOID}
    assert dls.codec == codec
    assert dls.task == "multiclass"
    other = renormalised(dls, (0.1,) * 3, (0.2,) * 3)
    ours, theirs = (made.valid.one_batch()[0] for made in (dls, other))
    assert other.preprocess.mean == (0.1,) * 3 != dls.preprocess.mean
    torch.testing.assert_close(
        other.preprocess.denormalise(theirs), dls.preprocess.denormalise(ours)
    )
    assert [type(t) for t in other.train.after_batch] == [type(t) for t in dls.train.after_batch]
    for made, mean in ((other, (0.1,) * 3), (dls, reader.preprocess.mean)):
        ours = [step for step in transforms(made) if isinstance(step, OfReader)]
        assert len(ours) == 2 * 5  # loaders, and what each has
        assert {step._reader.preprocess.mean for step in ours} == {mean}
        assert {step._reader for step in ours} == {made.reader}


def transforms(dls):
    """All that an item and a batch go through, in each loader."""
    for loader in dls.loaders:
        for steps in (*(one.tfms for one in loader.dataset.tls), loader.after_item):
            yield from steps.fs
        yield from loader.after_batch.fs
