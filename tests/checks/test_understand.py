"""What masks mostly hold, and what each holds by it."""

import numpy as np
import pytest
from PIL import Image

from fastunet.checks.understand import content, infer_codec
from fastunet.masks.codec import MaskCodec
from fastunet.masks.statistics import MaskStats
from fastunet.scan.pair_stats import MaskOnImage


def looked_at(path):
    return MaskOnImage((4, 5), MaskStats.read(path))


def test_one_odd_mask_does_not_change_what_the_others_hold(tmp_path):
    masks = {}
    for i in range(8):
        mask = np.zeros((40, 50), np.uint8)
        mask[20:] = 255
        if i == 3:
            mask[0, 0] = 77
        path = tmp_path / f"{i}.png"
        Image.fromarray(mask).save(path)
        masks[path] = looked_at(path)
    codec, unused = infer_codec(masks)
    assert (codec.codes, unused) == ((0, 255), "")
    odd = content(masks[tmp_path / "3.png"].stats, False, codec)
    assert (odd.classes.tolist(), odd.void, odd.unknown) == ([999, 1000], 0, {77: 1})


@pytest.mark.parametrize("palette", [None, "colour", "index"])
def test_palette_files_are_counted_by_what_their_codec_reads(tmp_path, palette):
    file = Image.fromarray(np.array([[0, 1, 1], [2, 2, 2]], np.uint8), "P")
    file.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    file.save(tmp_path / "m.png")
    stats = MaskStats.read(tmp_path / "m.png")
    if palette == "index":
        codec = MaskCodec(("a", "b"), (0, 1), void=(2,), palette="index")
    else:
        codec = MaskCodec.from_dict(
            {
                **MaskCodec(("a", "b"), (0, 1)).to_dict(),
                "values": ["#000000", "#ff0000"],
                "void": ["#00ff00"],
            }
        )
    found = content(stats, False, codec)
    assert (found.classes.tolist(), found.void, found.unknown) == ([1, 2], 3, {})
