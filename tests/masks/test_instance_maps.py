"""Masks that number objects, and pictures, are told from masks that name classes."""

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.errors import MaskValueError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.masks.instance_maps import numbering
from fastunet.masks.statistics import MaskSetStats

RNG = np.random.default_rng(0)


def objects(n, dtype=np.uint16, side=96):
    """`n` discs on a grid, numbered 1..n."""
    mask = np.zeros((side, side), dtype)
    across = int(np.ceil(np.sqrt(max(1, n))))
    step = side // across
    for i in range(n):
        centre = (i % across * step + step // 2, i // across * step + step // 2)
        cv2.circle(mask, centre, max(1, step // 3), i + 1, -1)
    return mask


def scene(n_classes, dtype=np.uint8):
    """Many patches, each of some class: any class may be missing, most lie in several places."""
    small = RNG.integers(0, n_classes, (12, 12))
    return small.astype(dtype).repeat(8, 0).repeat(8, 1)


def save(folder, masks, suffix="png"):
    paths = [folder / f"{i:03d}.{suffix}" for i in range(len(masks))]
    for path, mask in zip(paths, masks, strict=True):
        cv2.imwrite(str(path), mask)
    return paths


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_objects_numbered_anew_in_each_file_are_recognised(tmp_path, dtype, suffix):
    paths = save(tmp_path, [objects(n, dtype) for n in (7, 30, 18, 22, 41)], suffix)
    with pytest.raises(MaskValueError, match=r"an instance map.* Pass instances=True"):
        MaskCodec.infer(paths)


def test_a_few_gaps_from_cropping_do_not_hide_an_instance_map(tmp_path):
    masks = [objects(n) for n in (20, 25, 31, 36, 40, 44)]
    masks[0][masks[0] == 7] = 0
    assert numbering(MaskSetStats.of(save(tmp_path, masks), progress=False))


@pytest.mark.parametrize(
    "masks",
    [
        [scene(20) for _ in range(6)],
        [scene(150) for _ in range(6)],
        [objects(n) for n in (3, 2, 3, 1)],  # too few to tell
        [objects(20) for _ in range(5)],  # the same classes in each, a diagram for example
        [scene(n) for n in (17, 18, 19, 20)],  # consecutive and different, but in many places
    ],
    ids=["scenes", "many classes", "few values", "diagrams", "scattered"],
)
def test_classes_are_not_taken_for_objects(tmp_path, masks):
    assert not numbering(MaskSetStats.of(save(tmp_path, masks), progress=False))


def test_a_palette_of_random_colours_does_not_hide_an_instance_map(tmp_path):
    colours = RNG.integers(0, 256, 768).tolist()
    paths = []
    for n in (17, 25, 33, 40):
        mask = Image.fromarray(objects(n, np.uint8), mode="P")
        mask.putpalette(colours)
        mask.save(tmp_path / f"{n}.png")
        paths.append(tmp_path / f"{n}.png")
    with pytest.raises(MaskValueError, match="instances=True"):
        MaskCodec.infer(paths)
    codec = MaskCodec.infer(paths, instances=True)
    assert (codec.encoding, codec.palette) == ("instance map", "index")
    np.testing.assert_array_equal(codec.read(paths[0]), objects(17, np.uint8) > 0)


def test_instances_become_foreground_also_in_files_that_were_not_looked_at(tmp_path):
    paths = save(tmp_path, [objects(n) for n in (20, 30, 90)])
    codec = MaskCodec.infer(paths[:2], instances=True)
    assert (codec.classes, codec.task) == (("background", "foreground"), "binary")
    np.testing.assert_array_equal(codec.read(paths[2]), objects(90) > 0)
    assert codec.describe().startswith(
        "binary, 2 classes by instance map: 0 = background, others = foreground; no void"
    )


def test_more_instances_than_classes_can_be_say_how_to_go_on(tmp_path):
    paths = save(tmp_path, [objects(400)])
    with pytest.raises(MaskValueError, match=r"401 different values.* pass instances=True"):
        MaskCodec.infer(paths)
    assert MaskCodec.infer(paths, instances=True).task == "binary"


def test_instances_may_be_named_and_have_void(tmp_path):
    mask = objects(20)
    mask[0] = 999
    paths = save(tmp_path, [mask])
    codec = MaskCodec.infer(paths, ["soil", "leaf"], void=999, instances=True)
    assert codec.classes == ("soil", "leaf")
    assert (codec.read(paths[0])[0] == VOID).all()


def test_instances_of_random_colours_on_black_are_foreground(tmp_path):
    colours = RNG.integers(1, 256, (50, 3)).astype(np.uint8)
    colours[0] = 0
    paths = save(tmp_path, [colours[objects(40)]])
    codec = MaskCodec.infer(paths, instances=True)
    np.testing.assert_array_equal(codec.read(paths[0]), objects(40) > 0)
    np.testing.assert_array_equal(codec.decode(np.array([[0]])), [[(0, 0, 0)]])


@pytest.mark.parametrize(
    ("masks", "suffix", "options", "message"),
    [
        ([objects(0)], "png", {}, "hold 0; instances=True needs"),
        ([objects(20)], "png", {"classes": ["a", "b", "c"]}, "makes two classes"),
        ([objects(20, np.uint8) * 9], "jpg", {}, "JPEG blurs the numbers"),
    ],
)
def test_masks_that_number_nothing_are_refused(tmp_path, masks, suffix, options, message):
    with pytest.raises(MaskValueError, match=message):
        MaskCodec.infer(save(tmp_path, masks, suffix), instances=True, **options)


def test_a_picture_instead_of_a_mask_is_refused(tmp_path):
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(MaskValueError, match="instance map, or a picture instead of a mask"):
        MaskCodec.infer(save(tmp_path, [noise]))
