"""`fastunet predict`, as a person types it: nothing is lost, everything is told."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs


def contents(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def refused(result, *words):
    """Exit code 2 and one line that holds these words."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("fastunet: error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err
    return True


# --- nothing is lost ------------------------------------------------------------------------------


def test_photos_are_never_replaced_by_their_masks(run, write_pairs, write_bundle, in_tmp):
    root = write_pairs(3)
    write_bundle()
    (in_tmp / "link").symlink_to(root / "images")
    before = contents(root)
    for out in ("data/images", "link", "data/masks/../images"):
        for more in ((), ("--overwrite",)):
            words = ("predict", "b", "data/images", "--out", out, *more)
            assert refused(run(*words), "00.png is read by this command")
    assert contents(root) == before


def test_masks_and_overlays_that_exist_are_replaced_only_when_asked_for(
    run, write_pairs, write_bundle, in_tmp
):
    root = write_pairs(3)
    write_bundle()
    before = contents(root)
    words = ("predict", "b", "data/images", "--out", "data/masks")
    assert refused(run(*words), "3 files exist already: data/masks/00.png", "--overwrite")
    assert contents(root) == before

    (in_tmp / "p").mkdir()
    (in_tmp / "p/00_overlay.png").write_bytes(b"mine")
    words = ("predict", "b", "data/images", "--out", "p", "--overlay")
    assert refused(run(*words), "p/00_overlay.png exists already")
    assert contents(in_tmp / "p") == {next(iter(contents(in_tmp / "p"))): b"mine"}
    assert run(*words, "--overwrite")[0] == 0
    assert cv2.imread("p/00_overlay.png").shape == (40, 48, 3)


def test_a_bundle_is_never_replaced(run, write_pairs, write_bundle, in_tmp):
    write_pairs(1)
    write_bundle()
    (in_tmp / "b/00.png").symlink_to("model.safetensors")
    words = ("predict", "b", "data/images", "--out", "b", "--overwrite")
    assert refused(run(*words), "model.safetensors is read by this command")


def test_an_overlay_and_a_mask_of_one_name_are_refused_with_both_images(
    run, write_pairs, write_bundle, in_tmp
):
    root = write_pairs(1)
    write_bundle()
    (root / "images/00.png").rename(root / "images/x.png")
    (root / "images/x_overlay.png").write_bytes((root / "images/x.png").read_bytes())
    words = ("predict", "b", "data/images", "--out", "p")
    assert refused(
        run(*words, "--overlay"),
        "the mask of data/images/x_overlay.png",
        "overlay of data/images/x",
    )
    assert not (in_tmp / "p").exists()
    assert run(*words)[0] == 0


def test_two_images_for_one_mask_file_are_refused(run, write_pairs, write_bundle, in_tmp):
    write_pairs(1, folder="a")
    write_pairs(1, folder="b2")
    words = ("predict", write_bundle(), "a/images", "b2/images")
    assert refused(run(*words), "00.png would be written twice", "a/images/00.png", "b2/images/00")


def test_a_place_that_cannot_be_written_is_one_line(run, write_pairs, write_bundle, in_tmp):
    write_pairs(1)
    write_bundle()
    (in_tmp / "afile").write_bytes(b"mine")
    for out in ("afile", "afile/below"):
        words = ("predict", "b", "data/images", "--out", out)
        assert refused(run(*words), "afile is a file where a folder was meant")
    assert (in_tmp / "afile").read_bytes() == b"mine"


# --- everything is told ---------------------------------------------------------------------------


def test_it_goes_on_after_bad_files_and_lists_them_at_the_end(
    run, write_pairs, write_bundle, in_tmp
):
    images = write_pairs(3) / "images"
    write_bundle()
    (images / "01.png").write_bytes(b"no picture")
    (images / "03.png").symlink_to("nowhere.png")
    (images / "._00.png").write_bytes(b"of a Mac")
    (images / "m.png").mkdir()
    os.mkfifo(images / "fifo.png")
    os.mkfifo("named.png")
    code, out, err = run("predict", "b", "data/images", "named.png", "--out", "p")
    assert code == 1
    assert "2 masks in p/" in out
    first, *rest = err.splitlines()
    assert first == "fastunet: error: 3 images have no mask:"
    assert all(any(name in line for line in rest) for name in ("01.png", "03.png", "named.png"))
    assert len(rest) == 3
    assert sorted(f.name for f in (in_tmp / "p").iterdir()) == ["00.png", "02.png"]


def test_where_nothing_can_be_read_no_folder_is_made(run, write_bundle, in_tmp):
    (in_tmp / "x.png").write_bytes(b"no picture")
    code, out, err = run("predict", write_bundle(), "x.png", "--out", "p")
    assert code == 1
    assert "0 masks" in out
    assert "1 image has no mask:" in err
    assert not (in_tmp / "p").exists()


def test_frames_are_images_each_unless_the_model_was_trained_on_channel_files(
    run, write_bundle, in_tmp
):
    (in_tmp / "f").mkdir()
    for i in range(3):
        grey = np.full((20, 30), 60 * i, np.uint8)
        cv2.imwrite(str(in_tmp / f"f/frame_000{i}.png"), grey)
    assert run("predict", write_bundle("one", channels=1), "f", "--out", "p1")[0] == 0
    assert len(list((in_tmp / "p1").iterdir())) == 3
    write_bundle("three", channels=3, channel_files=3)
    assert run("predict", "three", "f", "--out", "p3")[0] == 0
    assert [f.name for f in (in_tmp / "p3").iterdir()] == ["frame.png"]
    words = ("predict", write_bundle("old"), "f", "--channel-files", 3, "--out", "p-old")
    assert run(*words)[0] == 0
    assert [f.name for f in (in_tmp / "p-old").iterdir()] == ["frame.png"]
    (in_tmp / "f/frame_0002.png").unlink()
    code, _, err = run("predict", "three", "f", "--out", "p2")
    assert code == 1
    assert "this image is one of 2 files; images of 3 channel files were expected" in err


def test_masks_are_seen_in_colour_and_read_back_as_classes(run, write_pairs, write_bundle, in_tmp):
    root = write_pairs(3, (0, 1, 2))
    write_bundle(values=(0, 1, 2))
    code, out, _ = run("predict", "b", "data/images", "--out", "p")
    assert code == 0
    assert "0 = class0, 1 = class1, 2 = class2" in out
    pairs = find_pairs(in_tmp, images=root / "images", masks=in_tmp / "p")
    codec = MaskCodec.infer([pair.mask for pair in pairs], classes=["a", "b", "c"])
    for pair in pairs:
        picture = Image.open(pair.mask)
        assert picture.mode == "P"
        np.testing.assert_array_equal(codec.read(pair.mask), np.array(picture))


def test_the_encoding_of_the_data_is_written_on_demand(run, write_pairs, write_bundle, in_tmp):
    write_pairs(2)
    write_bundle(threshold=0.4)
    words = ("predict", "b", "data/images", "--values", "original", "--out", "p")
    code, out, _ = run(*words)
    assert code == 0
    assert "0 = class0, 255 = class1" in out
    assert set(np.unique(cv2.imread("p/00.png", cv2.IMREAD_UNCHANGED))) <= {0, 255}
    assert refused(run(*words[:3], "--values", "colour"), "--values colour: one of index, original")
    objects = MaskCodec(("background", "cell"), (0, 1), unknown="foreground")
    write_bundle("objects", codec=objects)
    words = ("predict", "objects", "data/images", "--values", "original", "--out", "q")
    assert refused(run(*words), "number objects")


@pytest.mark.parametrize("sink", ["/dev/full"])
def test_a_full_disk_is_one_line(write_pairs, write_bundle, in_tmp, sink):
    if not os.path.exists(sink):  # noqa: PTH110
        pytest.skip(f"there is no {sink}")
    write_pairs(1)
    write_bundle()
    words = ("predict", "b", "data/images", "--out", "p")
    with open(sink, "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "fastunet", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == (
        "fastunet: error: the disk is full; make room, or choose a place elsewhere.\n"
    )


# --- names of strangers ---------------------------------------------------------------------------


def test_a_file_name_moves_no_cursor(run, write_bundle, in_tmp):
    write_bundle()
    (in_tmp / "photos").mkdir()
    (in_tmp / "photos" / "a\x1b[2J\u202egnp.png").write_bytes(b"no image")
    code, out, err = run("predict", "b", "photos")
    assert code == 1
    assert r"a\x1b[2J\u202egnp.png" in err
    assert not {"\x1b", "\u202e"} & set(out + err)


def test_an_older_bundle_warns_in_one_line(run, write_bundle, write_pairs, in_tmp):
    write_pairs(1)
    write_bundle()
    document = json.loads((in_tmp / "b/bundle.json").read_bytes())
    del document["checksum"]
    (in_tmp / "b/bundle.json").write_text(json.dumps({**document, "format": 1}))
    with pytest.warns(UserWarning, match=r"^b/bundle\.json was written by an older[^\n]*$"):
        assert run("predict", "b", "data/images")[0] == 0
