"""What encodings share: how many codes can be classes, and how a user names them."""

import pytest

from fastunet.masks.encodings.reading import are_few, name_all
from fastunet.masks.statistics import MaskSetStats


@pytest.fixture
def stats(tmp_path, write, discs):
    return MaskSetStats.of([write(tmp_path / "m.png", discs(1, 2))])


@pytest.mark.parametrize(("n", "few"), [(1, False), (2, True), (254, True), (256, False)])
def test_two_codes_and_up_to_as_many_as_can_be_trained_are_classes(stats, n, few):
    assert are_few(stats.among(range(n))) == few


def test_what_the_user_types_names_each_code_where_they_are_not_too_many(stats):
    assert name_all(stats) == "classes=['class 0', 'class 1', 'class 2']"
    assert name_all(stats.among(range(9))) == "classes=[...] with 9 names"
