"""A folder is looked into once, and its names are compared without case."""

import unicodedata

from fastunet.pairs.formats.layout import Folder


def test_folders_and_files_are_found_whatever_their_case(touch, tmp_path):
    touch(tmp_path, "Images/Train/A.JPG", "Val/x.txt", ".hidden/b.png", "README.md")
    root = Folder(tmp_path)
    assert sorted(root.folders) == ["images", "val"]
    assert root.files == {"readme.md": "README.md"}
    assert root.find("masks", "images/train").path == tmp_path / "Images/Train"
    assert root.find("images/test") is None
    assert root.has_images
    assert not root.find("val").has_images


def test_names_of_parts_are_known(touch, tmp_path):
    touch(tmp_path, "Training/a.png", "dev/a.png", "holdout/a.png", "other/a.png")
    root = Folder(tmp_path)
    assert root.splits == {"training": "train", "dev": "valid", "holdout": "test"}
    assert [(folder.path.name, split) for folder, split in root.split_folders] == [
        ("Training", "train"),
        ("dev", "valid"),
        ("holdout", "test"),
    ]


def test_lines_are_read_without_blank_ones_in_unicode_form_nfc(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Müller")
    (tmp_path / "Codes.txt").write_text(f"\ufeffsky\n\n {decomposed} \r\n", "utf-8")
    assert Folder(tmp_path).lines("codes.txt") == ["sky", "Müller"]
    assert Folder(tmp_path).lines("labels.txt") == []
