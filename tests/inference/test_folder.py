"""Which files are images, where their masks go, and what a written mask holds."""

import io
import os
import socket

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.errors import ImageReadError, MaskValueError, OutputError
from fastunet.inference import Segmenter
from fastunet.inference.folder import (
    encode_mask,
    find_files,
    group_files,
    legend,
    planned_outputs,
    predict_files,
)
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.masks.codes import CodeKind
from fastunet.models.unet import UNet
from fastunet.preprocess import Preprocess

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
THREE = MaskCodec(("a", "b", "c"), (0, 1, 2))


@pytest.fixture
def photos(tmp_path):
    """Write small photos by name; returns their folder."""

    def write(*names, folder="pics"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            cv2.imwrite(str(tmp_path / folder / name), PHOTO)
        return tmp_path / folder

    return write


def segmenter(codec=THREE, size=(16, 16)):
    return Segmenter(UNet(3, codec.n_out, 1, 4), codec, Preprocess(size))


# --- which images ---------------------------------------------------------------------------------


def test_in_a_folder_junk_and_what_is_no_file_are_left(photos, monkeypatch):
    folder = photos("b.png", "a.jpg", "._a.jpg", "hidden.png")
    (folder / "hidden.png").rename(folder / ".hidden.png")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    (folder / "m.png").mkdir()
    (folder / "link.png").symlink_to("b.png")
    os.mkfifo(folder / "fifo.png")
    monkeypatch.chdir(folder)  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        files, failures = find_files([folder])
    assert [file.name for file in files] == ["a.jpg", "b.png", "link.png"]
    assert failures == []


def test_a_file_that_is_named_counts_whatever_it_is_called_and_once(photos):
    folder = photos("._x.png", "y.png")
    files, _ = find_files([folder / "._x.png", folder, folder / "y.png"])
    assert [file.name for file in files] == ["._x.png", "y.png"]


def test_what_is_named_and_no_file_is_a_failure(photos, tmp_path):
    folder = photos("x.png")
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "dead.png").symlink_to("nowhere.png")
    files, failures = find_files([tmp_path / "fifo.png", tmp_path / "dead.png", folder])
    assert len(files) == 1
    assert [str(failure).rpartition("/")[2] for failure in failures] == [
        "fifo.png: it is not a file but a pipe, a socket or a device.",
        "dead.png: it is a link to a file that does not exist.",
    ]


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(ImageReadError, match=r"no\.png does not exist"):
        find_files([tmp_path / "no.png"])


def test_a_folder_of_sub_folders_says_how_to_name_them(photos, tmp_path):
    photos("x.png", folder="pics/day1")
    photos("x.png", folder="pics/day2")
    (tmp_path / "pics/empty").mkdir()
    with pytest.raises(ImageReadError) as raised:
        find_files([tmp_path / "pics"])
    assert f"{tmp_path}/pics/day1 {tmp_path}/pics/day2" in str(raised.value)
    with pytest.raises(ImageReadError, match="empty holds no images"):
        find_files([tmp_path / "pics/empty"])
    files, failures = find_files([tmp_path / "pics/empty", tmp_path / "pics/day1"])
    assert (len(files), len(failures)) == (1, 1)


def test_frames_of_a_video_are_images_each(photos):
    folder = photos("frame_0000.png", "frame_0001.png", "frame_0002.png")
    images, failures = group_files(find_files([folder])[0])
    assert [image.name for image in images] == ["frame_0000", "frame_0001", "frame_0002"]
    assert failures == []


def test_channel_files_are_stacked_where_they_are_known_to_be_such(photos):
    folder = photos("x_0000.png", "x_0001.png", "y_0000.png", "y_0001.png", "z_0000.png", "w.png")
    images, failures = group_files(find_files([folder])[0], channel_files=2)
    assert [(image.name, len(image.files)) for image in images] == [("x", 2), ("y", 2)]
    assert sorted(failure.file.name for failure in failures) == ["w.png", "z_0000.png"]
    assert "w_0000.png ... w_0001.png" in str(failures[0])


# --- what is written ------------------------------------------------------------------------------


def test_every_output_is_planned(photos, tmp_path):
    images, _ = group_files(find_files([photos("x.png", "y.jpg")])[0])
    model = segmenter()
    assert list(predict_files(model, images, tmp_path / "out", overlay=True)) == [None, None]
    planned = {output.path for output in planned_outputs(images, tmp_path / "out", overlay=True)}
    assert planned == set((tmp_path / "out").iterdir())


def test_a_bad_file_is_told_and_the_others_are_written(photos, tmp_path):
    folder = photos("a.png", "b.png", "c.png")
    (folder / "b.png").write_bytes(b"no picture")
    images, _ = group_files(find_files([folder])[0])
    done = list(predict_files(segmenter(), images, tmp_path / "out"))
    assert [failure is None for failure in done] == [True, False, True]
    assert "b.png: cannot be decoded" in str(done[1])
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def test_where_nothing_can_be_written_it_ends(photos, tmp_path):
    images, _ = group_files(find_files([photos("a.png", "b.png")])[0])
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a file where a folder was meant"):
        list(predict_files(segmenter(), images, tmp_path / "file"))


def test_an_image_without_memory_for_it_is_a_failure(photos, tmp_path):
    images, _ = group_files(find_files([photos("a.png")])[0])
    (failure,) = predict_files(segmenter(size=(2**24, 2**24)), images, tmp_path / "out")
    assert "memory" in str(failure)


# --- the encoding ---------------------------------------------------------------------------------

INDICES = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_a_mask_shows_the_classes_in_colour_and_holds_their_indices():
    picture = opened(encode_mask(INDICES, THREE))
    assert picture.mode == "P"
    np.testing.assert_array_equal(np.array(picture), INDICES)
    np.testing.assert_array_equal(np.array(picture.convert("RGB")), THREE.decode(INDICES))
    assert picture.getpalette()[3 * VOID :] == [255, 255, 255]


def test_a_written_mask_is_read_back_as_the_same_classes(tmp_path):
    for n in (2, 3, 40):
        codec = MaskCodec(tuple(f"class{i}" for i in range(n)), tuple(range(n)))
        indices = np.arange(n, dtype=np.uint8)[None].repeat(3, axis=0)
        (tmp_path / f"{n}.png").write_bytes(encode_mask(indices, codec))
        read = MaskCodec.infer([tmp_path / f"{n}.png"])
        np.testing.assert_array_equal(read.read(tmp_path / f"{n}.png"), indices)


def test_classes_that_no_mask_shows_keep_their_place_by_name(tmp_path):
    (tmp_path / "x.png").write_bytes(encode_mask(np.array([[0, 2]], np.uint8), THREE))
    read = MaskCodec.infer([tmp_path / "x.png"], classes=["a", "b", "c"])
    np.testing.assert_array_equal(read.read(tmp_path / "x.png"), [[0, 2]])


ENCODINGS = {
    "two values": MaskCodec(("off", "on"), (0, 255)),
    "indices": THREE,
    "sparse values": MaskCodec(("a", "b", "c"), (0, 7, 99), void=(255,)),
    "16 bit": MaskCodec(("a", "b", "c"), (0, 300, 65535)),
    "lossy": MaskCodec(("a", "b"), (0, 200), nearest=True),
    "colours": MaskCodec(("a", "b", "c"), (0, 0xFF0000, 0x0000FF), kind=CodeKind.COLOUR),
    "colours with alpha": MaskCodec(("a", "b"), (0x7F0000FF, 0xFF0000), kind=CodeKind.COLOUR),
    "palette": MaskCodec(
        ("a", "b", "c"), (0, 0xFF0000, 0xFF00), kind=CodeKind.COLOUR, palette="colour"
    ),
    "palette indices": MaskCodec(("a", "b", "c"), (0, 5, 9), palette="index"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_original_encoding_is_read_by_the_codec_of_the_data(tmp_path, encoding):
    codec = ENCODINGS[encoding]
    indices = INDICES % len(codec.classes)
    (tmp_path / "x.png").write_bytes(encode_mask(indices, codec, "original"))
    np.testing.assert_array_equal(codec.read(tmp_path / "x.png"), indices)
    assert legend(codec, "original").count(" = ") == len(codec.classes)


@pytest.mark.parametrize(
    ("encoding", "mode"),
    [
        ("two values", "L"),
        ("16 bit", "I;16"),
        ("colours", "RGB"),
        ("colours with alpha", "RGBA"),
        ("palette", "P"),
        ("palette indices", "P"),
    ],
)
def test_the_original_encoding_is_a_file_of_the_same_kind(encoding, mode):
    codec = ENCODINGS[encoding]
    assert opened(encode_mask(INDICES % len(codec.classes), codec, "original")).mode == mode


def test_an_encoding_that_cannot_be_written_is_refused_before_the_first_image(photos, tmp_path):
    images, _ = group_files(find_files([photos("a.png")])[0])
    objects = MaskCodec(("background", "cell"), (0, 1), unknown="foreground")
    below = MaskCodec(("a", "b"), (-1, 1))
    for codec, why in ((objects, "number objects"), (below, r"-1\.\.1; a PNG holds 0")):
        with pytest.raises(MaskValueError, match=why):
            list(predict_files(segmenter(codec), images, tmp_path / "out", values="original"))
    assert not (tmp_path / "out").exists()


def test_void_is_written_as_the_data_write_it():
    codec = ENCODINGS["sparse values"]
    assert codec.to_original(np.array([[1, VOID]], np.uint8)).tolist() == [[7, 255]]
    with pytest.raises(MaskValueError, match="void"):
        THREE.to_original(np.array([[1, VOID]], np.uint8))
