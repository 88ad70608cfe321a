"""From pairs to what training needs to know."""

from collections import Counter

import pytest

from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.io import images
from fastunet.masks import raw


@pytest.fixture
def counted(monkeypatch):
    """How often each file is decoded."""
    reads = Counter()

    def counting(decode):
        def once_more(path, *args):
            reads[path] += 1
            return decode(path, *args)

        return once_more

    for module in (images, raw):
        monkeypatch.setattr(module, "_decode", counting(module._decode))
    return reads


@pytest.mark.parametrize("how", [{}, {"strict": True}, {"skip_bad": True}, {"patch": 16}])
@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_each_file_is_decoded_once_before_the_first_batch(
    write_pairs, counted, monkeypatch, tmp_path, how, cache
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = write_pairs(10)
    dls = ImageMaskDataLoaders.from_folder(root, size=32, device="cpu", cache=cache, bs=2, **how)
    dls.one_batch()
    assert len(counted) == 20
    assert set(counted.values()) == {1}


def test_without_room_files_are_decoded_when_they_are_needed(write_pairs, counted, monkeypatch):
    monkeypatch.setattr("fastunet.data.prepare.room_in_memory", lambda: 0)
    root = write_pairs(6)
    dls = ImageMaskDataLoaders.from_folder(root, size=32, device="cpu", cache="ram", bs=2)
    assert dls.one_batch()[0].shape[0] == 2
    assert max(counted.values()) > 1
