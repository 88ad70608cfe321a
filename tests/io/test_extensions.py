"""Which file names are images, and which are junk."""

import pytest

from fastunet.io.extensions import is_image, is_junk


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.b.tiff", "frame.npy"])
def test_a_name_with_the_extension_of_an_image_is_one(name):
    assert is_image(name)
    assert not is_junk(name)


@pytest.mark.parametrize("name", ["png", "a.txt", "a.png.txt", ""])
def test_any_other_name_is_no_image(name):
    assert not is_image(name)


@pytest.mark.parametrize("name", [".DS_Store", "._a.png", "__MACOSX", "Thumbs.db", "desktop.ini"])
def test_what_systems_leave_behind_is_junk(name):
    assert is_junk(name)
