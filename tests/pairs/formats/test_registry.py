"""Every folder layout is recognised for what it is."""

import cv2
import numpy as np

from fastunet.pairs.find import find_pairs


def test_the_only_folder_of_an_unpacked_archive_is_looked_into(touch, tmp_path):
    touch(tmp_path, "cells-v2/data/images/a.png", "cells-v2/data/masks/a.png", "__MACOSX/b.png")
    touch(tmp_path, "cells-v2/README.md")
    assert len(find_pairs(tmp_path)) == 1


def test_masks_that_exist_come_before_polygons_of_the_same_images(touch, tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((4, 4), np.uint8))
    touch(tmp_path, "images/a.png", "masks/a.png", "labels/a.txt", "images/a.json")
    (tmp_path / "annotations.json").write_text("{broken")
    assert find_pairs(tmp_path).layout == "images + masks"
