"""Masks of colours, and what is transparent in them."""

import numpy as np
import pytest

from fastunet.errors import MaskValueError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec

BLACK = (0, 0, 0)
RED = (255, 0, 0)
WHITE = (255, 255, 255)


@pytest.mark.parametrize("colour", [BLACK, RED, WHITE])
def test_what_is_transparent_around_an_object_is_the_background(
    tmp_path, colour, discs, write, cut_out
):
    paths = [write(tmp_path / f"{i}.png", cut_out(discs(1), colour)) for i in range(3)]
    codec = MaskCodec.infer(paths)
    assert codec.classes == ("background", "foreground")
    np.testing.assert_array_equal(codec.read(paths[0]), discs(1))
    assert "What is transparent is background." in codec.describe()
    np.testing.assert_array_equal(codec.to_original(codec.read(paths[0]))[..., 3] > 0, discs(1) > 0)


def test_transparency_beside_black_and_colours_is_a_question_with_both_answers(
    tmp_path, discs, write, cut_out
):
    paths = [write(tmp_path / f"{i}.png", cut_out(discs(1, 2), BLACK, RED)) for i in range(3)]
    with pytest.raises(MaskValueError, match="what is transparent is the background, and black is"):
        MaskCodec.infer(paths)
    void = MaskCodec.infer(paths, void="#00000000")
    assert (void.read(paths[0]) == np.where(discs(1, 2) == 0, VOID, discs(1, 2) - 1)).all()
    table = {"background": "#00000000", "leaf": "#000000", "stem": "#ff0000"}
    np.testing.assert_array_equal(MaskCodec.infer(paths, table).read(paths[0]), discs(1, 2))
