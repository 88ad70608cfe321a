"""A look at many mask files: which codes they hold, and in what kind."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastunet.errors import ImageReadError, MaskValueError
from fastunet.masks.codes import CodeKind
from fastunet.masks.raw import read_mask
from fastunet.masks.statistics import MaskSetStats, MaskStats


def save(path, array):
    Image.fromarray(np.asarray(array, np.uint8)).save(path)
    return path


def test_stats_tell_what_each_file_holds_in_one_kind_of_code(tmp_path):
    colour = save(tmp_path / "c.png", [[(255, 0, 0), (0, 0, 0)]])
    grey = save(tmp_path / "g.png", np.full((2, 2), 255))
    stats = MaskSetStats.of([colour, grey])
    assert stats.kind is CodeKind.COLOUR
    assert stats.present == {colour: {0, 0xFF0000}, grey: {0xFFFFFF}}
    assert stats.counts == {0: 1, 0xFF0000: 1, 0xFFFFFF: 4}
    assert stats.where == {0: colour, 0xFF0000: colour, 0xFFFFFF: grey}


def test_every_file_is_read_and_a_code_that_only_one_holds_is_found(tmp_path):
    paths = [save(tmp_path / f"{i:04d}.png", [[0, 3 if i == 1203 else 1]]) for i in range(1204)]
    stats = MaskSetStats.of(paths)
    assert stats.codes == [0, 1, 3]
    assert stats.present[paths[-1]] == {0, 3}
    assert len({id(codes) for codes in stats.present.values()}) == 2  # equal sets are kept once


def test_the_stats_of_decoded_masks_are_those_of_their_files(tmp_path):
    path = save(tmp_path / "m.png", np.kron([[0, 1], [2, 0]], np.ones((5, 5))))
    of_file = MaskSetStats.of([path])
    decoded = MaskSetStats.of_stats([MaskStats.of(path, read_mask(path))])
    assert (decoded.counts, decoded.present) == (of_file.counts, of_file.present)
    assert decoded.flat == of_file.flat == {0: 32, 1: 16, 2: 16}  # the rest touches another code


def test_colours_of_which_two_are_one_are_read_by_their_index(tmp_path):
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    picture.putpalette([0] * 768)
    picture.save(tmp_path / "m.png")
    stats = MaskSetStats.of([tmp_path / "m.png"])
    assert (stats.kind, stats.palette, stats.codes) == (CodeKind.VALUE, "index", [0, 1, 2])


def test_what_a_user_writes_is_taken_as_a_code_of_the_masks_kind(tmp_path):
    colours = MaskSetStats.of([save(tmp_path / "c.png", [[(255, 0, 0), (0, 0, 0)]])])
    values = MaskSetStats.of([save(tmp_path / "v.png", [[0, 9]])])
    assert colours.code((255, 0, 0)) == 0xFF0000
    assert values.code("#090909") == values.code("9") == 9
    for stats, wrong in ((colours, 7), (values, "#ff0000")):
        with pytest.raises(MaskValueError, match=f"but the masks hold {stats.kind}, written"):
            stats.code(wrong)


def test_without_masks_or_with_a_broken_one_there_are_no_stats(tmp_path):
    with pytest.raises(MaskValueError, match="There are no masks"):
        MaskSetStats.of([])
    with pytest.raises(ImageReadError, match=r"no\.png"):
        MaskSetStats.of([Path(tmp_path / "no.png")])
