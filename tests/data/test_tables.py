"""Pairs that a table lists."""

import pandas as pd
import pytest

import fastunet
from fastunet.data.pairs import find_pairs
from fastunet.data.tables import pairs_from_table
from fastunet.errors import PairingError


@pytest.fixture
def files(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jpg").touch()
        (tmp_path / f"{name}_mask.png").touch()
    return tmp_path


def rows(pairs):
    return [(pair.image.name, pair.mask.name, pair.split, pair.group) for pair in pairs]


@pytest.mark.parametrize(
    ("name", "separator"), [("t.csv", ","), ("t.csv", ";"), ("t.TSV", "\t"), ("t.csv", "\t")]
)
@pytest.mark.parametrize("read", [find_pairs, pairs_from_table, fastunet.pairs_from_table])
def test_a_table_names_files_beside_it_with_split_and_group(files, name, separator, read):
    lines = ["Image_Path,LABEL,Split,group", "a.jpg,a_mask.png,Train,p1",
             "b.jpg,b_mask.png,VAL,p2", " c.jpg,c_mask.png,test,"]  # fmt: skip
    text = "\n".join(lines).replace(",", separator)
    (files / name).write_text(text, encoding="utf-8-sig")
    pairs = read(files / name)
    assert pairs.layout == "table"
    assert rows(pairs) == [
        ("a.jpg", "a_mask.png", "train", "p1"),
        ("b.jpg", "b_mask.png", "valid", "p2"),
        ("c.jpg", "c_mask.png", "test", ""),
    ]


def test_a_data_frame_with_columns_of_other_names(files):
    frame = pd.DataFrame(
        {
            "photo": ["a.jpg", files / "b.jpg"],
            "truth": [files / "a_mask.png", "b_mask.png"],
            "fold": ["training", None],
            "plant": [7, 8],
        }
    )
    pairs = pairs_from_table(frame, files, image="photo", mask="truth", split="fold", group="plant")
    assert rows(pairs) == [
        ("a.jpg", "a_mask.png", "train", "7"),
        ("b.jpg", "b_mask.png", "", "8"),
    ]
    assert all(pair.image.is_file() and pair.mask.is_file() for pair in pairs)


def test_rows_without_a_mask_are_unpaired(files):
    frame = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "mask": ["a_mask.png", None]})
    pairs = pairs_from_table(frame, files)
    assert len(pairs) == 1
    assert [file.name for file in pairs.unpaired_images] == ["b.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a table"),
        ("image,mask\n", "has no rows"),
        ("picture,mask\na.jpg,a_mask.png\n", r"no column 'image'.*picture, mask.*image=\.\.\."),
        ("image,truth\na.jpg,a_mask.png\n", "no column 'mask'"),
        ("image,mask\na.jpg,gone.png\nb.jpg,lost.png\n", r"2 mask files .*gone\.png, .*lost\.png"),
        ("image,mask\n" + "x.jpg,a_mask.png\n" * 12, "12 image files.* and 2 more"),
        ("image,mask\na.jpg,a_mask.png\na.jpg,b_mask.png\n", r"more than once: .*a\.jpg"),
        ("image,mask\n,a_mask.png\n", r"no image in row 1"),
        ("image,mask,split\na.jpg,a_mask.png,holdout\n", "split holdout; train, valid"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(files, text, message):
    (files / "table.csv").write_text(text)
    with pytest.raises(PairingError, match=message):
        pairs_from_table(files / "table.csv")


def test_a_split_column_that_was_asked_for_must_be_there(files):
    (files / "table.csv").write_text("image,mask\na.jpg,a_mask.png\n")
    with pytest.raises(PairingError, match="no column 'fold'"):
        pairs_from_table(files / "table.csv", split="fold")
