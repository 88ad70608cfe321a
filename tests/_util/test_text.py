"""Words for messages."""

import unicodedata

from fastunet._util.text import listing, plural, sizes_differ

NFC, NFD = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))


def test_names_are_spelled_by_codes_only_where_they_look_the_same():
    assert listing([NFC, "a"]) == f"{NFC}, a"
    assert listing([NFC, NFC]) == f"{NFC}, {NFC}"
    assert listing([NFC, NFD]) == "M\\xfcller, Mu\\u0308ller"


def test_a_long_list_is_cut_short():
    assert listing([1, 2, 3], 3) == "1, 2, 3"
    assert listing([1, 2, 3], 2) == "1, 2 and 1 more"
    assert listing([]) == ""


def test_one_is_not_many():
    assert [plural(n, "mask") for n in (0, 1, 2)] == ["0 masks", "1 mask", "2 masks"]
    assert plural(2, "class", "classes") == "2 classes"


def test_sizes_are_height_by_width():
    said = "a.png has 4x6 pixels (height x width), its mask 4x5."
    assert sizes_differ("a.png", (4, 6, 3), "its mask", (4, 5)) == said
