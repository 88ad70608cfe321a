"""Files whose channels make one image."""

from pathlib import Path

from fastunet.io.channel_files import ChannelFiles, channel_sets


def test_channel_files_are_paths_in_the_given_order():
    assert ChannelFiles(["rgb.png", Path("nir.png")]) == (Path("rgb.png"), Path("nir.png"))


def test_files_numbered_by_channel_are_one_image():
    files = [Path(f"d/{name}") for name in ("a_0001.png", "a_0000.png", "b.png", "c_0007.png")]
    assert channel_sets(files) == [
        ("a", (files[1], files[0])),
        ("b", (files[2],)),
        ("c_0007", (files[3],)),
    ]


def test_images_of_one_name_in_two_folders_stay_two():
    files = [Path("d/a_0000.png"), Path("e/a_0000.png"), Path("d/a_0001.png")]
    assert channel_sets(files) == [("a", (files[0], files[2])), ("a", (files[1],))]
