"""What two folders hold, and which of the files belong together."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fastunet.pairs.find import find_pairs


def stems(pairs):
    return [(pair.image.name, pair.mask.name, pair.split) for pair in pairs]


def test_subfolders_are_mirrored(touch, tmp_path):
    touch(tmp_path, "images/s1/a.png", "images/s2/a.png", "masks/s1/a.png", "masks/s2/a.png")
    assert [(p.image.parent.name, p.mask.parent.name) for p in find_pairs(tmp_path)] == [
        ("s1", "s1"),
        ("s2", "s2"),
    ]


def test_junk_and_hidden_files_are_passed_over(touch, tmp_path, recwarn):
    touch(tmp_path, "images/a.png", "images/._a.png", "images/Thumbs.db", "masks/a.png")
    touch(tmp_path, "images/.ipynb_checkpoints/a-checkpoint.png", "masks/__MACOSX/a.png")
    touch(tmp_path, "__MACOSX/images/b.png", ".DS_Store")
    assert stems(find_pairs(tmp_path)) == [("a.png", "a.png", "")]
    assert not recwarn.list


def test_linked_folders_are_followed_and_a_loop_of_links_ends(touch, tmp_path):
    touch(
        tmp_path, "elsewhere/a.png", "data/images/b.png", "data/masks/b.png", "data/masks/s/a.png"
    )
    (tmp_path / "data/images/s").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/again").symlink_to(tmp_path / "data/images")
    assert [pair.image.name for pair in find_pairs(tmp_path / "data")] == ["b.png", "a.png"]


names = st.text("ab01_-.", min_size=1, max_size=6).filter(lambda s: not s.startswith("."))


@settings(max_examples=15)
@given(
    st.sets(st.text("abc_.", min_size=1, max_size=5).map("x{}".format), max_size=12),
    st.sampled_from(["", "one", "two/three"]),
    st.randoms(),
)
def test_the_order_in_which_files_are_made_does_not_matter(touch, stems, inner, rng):
    files = [
        f"{side}/{inner}/{stem}{tail}.png"
        for side, tail in (("images", ""), ("masks", "_m"))
        for stem in stems
    ]
    files += ["images/z.png", "masks/z_m.png"]
    root = Path(tempfile.mkdtemp())
    listings = []
    for _ in range(2):
        rng.shuffle(files)
        touch(root, *files)
        listings.append(find_pairs(root).pairs)
        shutil.rmtree(root)
    assert listings[0] == listings[1]
    assert len(listings[0]) == len(stems) + 1


def test_a_pipe_named_like_an_image_is_no_image(touch, tmp_path):
    for part in ("images", "masks"):
        touch(tmp_path, f"{part}/a.png")
        os.mkfifo(tmp_path / part / "b.png")
    assert [pair.image.name for pair in find_pairs(tmp_path)] == ["a.png"]
