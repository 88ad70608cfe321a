"""An image that is too large for the memory is refused before the network runs."""

import struct
import zlib

import numpy as np
import psutil
import pytest

from fastunet.errors import ImageReadError
from fastunet.inference import Segmenter
from fastunet.inference.memory import bytes_per_pixel, check_memory
from fastunet.masks.codec import MaskCodec
from fastunet.models.unet import UNet
from fastunet.preprocess import Preprocess


def png_of_size(width, height):
    """The header of a PNG, with no pixels behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
    return head + struct.pack(">I", zlib.crc32(header)) + end


def test_a_huge_file_is_refused_by_its_header_naming_size_and_need(tmp_path):
    side = int((psutil.virtual_memory().total / bytes_per_pixel(Preprocess(), 250)) ** 0.5) + 1000
    (tmp_path / "map.png").write_bytes(png_of_size(side, side))
    codec = MaskCodec(tuple(map(str, range(250))), tuple(range(250)))
    segmenter = Segmenter(UNet(3, 250, 1, 2), codec, Preprocess((16, 16)))
    with pytest.raises(ImageReadError) as raised:
        segmenter.predict(tmp_path / "map.png")
    assert f"map.png: the 250 class probabilities of {side}x{side} pixels" in str(raised.value)
    assert "GB are free" in str(raised.value)


def test_an_array_counts_as_a_file_does():
    huge = np.broadcast_to(np.uint8(0), (2**22, 2**22, 3))  # no memory of its own
    with pytest.raises(ImageReadError, match="4194304x4194304 pixels"):
        check_memory(huge, Preprocess(), 1)
    check_memory(huge[:100, :100], Preprocess(), 1)


def test_the_need_grows_with_classes_and_patches():
    whole, patches = Preprocess(), Preprocess(policy="patch")
    assert bytes_per_pixel(whole, 20) - bytes_per_pixel(whole, 10) == 40
    assert bytes_per_pixel(patches, 20) - bytes_per_pixel(patches, 10) == 80


def test_a_network_that_looks_at_a_picture_much_enlarged_counts_what_it_sees():
    small = np.zeros((2000, 2000, 3), np.uint8)
    check_memory(small, Preprocess(policy="patch"), 1)
    with pytest.raises(ImageReadError, match="of memory"):
        check_memory(small, Preprocess(policy="patch", scale=60), 1)
