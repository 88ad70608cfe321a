"""What files show of their encodings when they are held against each other."""

import pytest

from fastunet.errors import MaskValueError
from fastunet.masks.codec import MaskCodec


def test_one_and_255_that_meet_in_a_file_are_a_class_and_void(tmp_path, discs, write):
    paths = [write(tmp_path / f"{i}.png", discs(1, 255) if i else discs(1)) for i in range(4)]
    assert MaskCodec.infer(paths).void == (255,)


@pytest.mark.parametrize(
    ("values", "asks"),
    [
        ([(1, 2), (127, 254)], True),  # indices, and the same drawn to be seen
        ([(1, 2), (127,)], True),  # one class may be missing
        ([(255,), (128,)], True),
        ([(1,), (2,), (3,)], False),  # indices, one class per image
        ([(50,), (100,), (150,)], False),
        ([(50, 100), (100, 150)], False),  # one file holds what the groups share
        ([(255,), (127, 255), (85, 170, 255)], True),  # each file stretched to its own range
        ([(127, 255), (255,)], False),  # a class is missing from some files
    ],
)
def test_values_that_never_meet_and_have_no_order_are_a_question(
    tmp_path, values, asks, discs, write
):
    masks = [discs(*held) for held in values for _ in range(3)]
    paths = [write(tmp_path / f"{i:02d}.png", mask) for i, mask in enumerate(masks)]
    if asks:
        with pytest.raises(MaskValueError, match="Which is right"):
            MaskCodec.infer(paths)
    every = sorted({0, *(value for held in values for value in held)})
    named = MaskCodec.infer(paths, [f"class {value}" for value in every])  # the answer
    assert named.codes == tuple(every)


def test_files_that_count_from_zero_and_from_one_are_a_question(tmp_path, discs, write):
    paths = [write(tmp_path / f"{i}.png", discs(1, 2) + i % 2) for i in range(6)]
    with pytest.raises(MaskValueError, match="are not of one kind"):
        MaskCodec.infer(paths)
