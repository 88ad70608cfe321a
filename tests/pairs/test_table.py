"""Pairs that a table lists."""

import pandas as pd
import pytest

import fastunet
from fastunet.errors import OptionError, PairingError
from fastunet.pairs.find import find_pairs
from fastunet.pairs.table import pairs_from_table


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
    lines = [
        "Image_Path,LABEL,Split,group",
        "a.jpg,a_mask.png,Train,p1",
        "b.jpg,b_mask.png,VAL,p2",
        " c.jpg,c_mask.png,test,",
    ]
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


@pytest.mark.parametrize("column", ["is_valid", "VALID"])
@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("1", "0"), (True, False), (1.0, 0.0)])
def test_fastais_own_column_says_what_is_validated_on(files, column, yes, no):
    frame = pd.DataFrame(
        {
            "image": ["a.jpg", "b.jpg", "c.jpg"],
            "mask": ["a_mask.png", "b_mask.png", "c_mask.png"],
            column: [no, yes, no],
        }
    )
    frame.to_csv(files / "t.csv", index=False)
    for pairs in (find_pairs(files / "t.csv"), pairs_from_table(frame, files)):
        assert [pair.split for pair in pairs] == ["train", "valid", "train"]


def table(header, *cells):
    names = ("a", "b", "c")
    lines = [f"{n}.jpg,{n}_mask.png,{cell}" for n, cell in zip(names, cells, strict=False)]
    return "\n".join([f"image,mask,{header}", *lines]) + "\n"


def splits_of(files, text, **kwargs):
    (files / "t.csv").write_text(text)
    return [pair.split for pair in pairs_from_table(files / "t.csv", **kwargs)]


@pytest.mark.parametrize("column", ["split", "set", "fold", "Subset", "phase", "dataset", "Usage"])
@pytest.mark.parametrize(
    ("train", "valid", "test"),
    [
        ("train", "val", "test"),
        ("Training", "VALIDATION", "Testing"),
        ("train_set", "dev", "holdout"),
        ("trn", "val set", "test-split"),
    ],
)
def test_a_column_of_words_is_the_split_whatever_it_is_called(files, column, train, valid, test):
    assert splits_of(files, table(column, train, valid, test)) == ["train", "valid", "test"]


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("is_valid", ("0", "1", ""), ["train", "valid", ""]),
        ("valid", ("no", "Yes", "n"), ["train", "valid", "train"]),
        ("validation", ("f", "T", "False"), ["train", "valid", "train"]),
        ("is_train", ("1.0", "0.0", "1"), ["train", "valid", "train"]),
        ("is_test", ("True", "False", "False"), ["test", "", ""]),
        ("is_valid,is_test", ("0,0", "1,0", "0,1"), ["train", "valid", "test"]),
        ("train,valid", ("1,0", "0,1", "0,0"), ["train", "valid", "test"]),
        ("split,is_valid", ("train,0", "val,1", "test,0"), ["train", "valid", "test"]),
    ],
)
def test_columns_of_yes_and_no_say_a_part(files, header, cells, expected):
    assert splits_of(files, table(header, *cells)) == expected


def test_columns_that_contradict_each_other_are_refused_unless_one_is_named(files):
    text = table("split,is_valid", "train,False", "test,True")
    with pytest.raises(PairingError, match=r"of row 2 the column 'is_valid' .* 'split'"):
        splits_of(files, text)
    assert splits_of(files, text, split="is_valid") == ["train", "valid"]


@pytest.mark.parametrize("cells", [("0", "1", "0"), ("True", "False", "True")])
def test_yes_and_no_without_a_part_is_a_question(files, cells):
    with pytest.raises(PairingError, match=r"in the column 'split'.*is_valid.*is_train"):
        splits_of(files, table("split", *cells))


@pytest.mark.parametrize(
    ("column", "cells"),
    [("fold", ("0", "1", "0")), ("data_split", ("A", "B", "A")), ("Usage", ("x", "y", "y"))],
)
def test_a_column_that_looks_like_a_split_is_never_ignored_in_silence(files, column, cells):
    with pytest.warns(UserWarning, match=f"the column '{column}' looks like a split, but is not"):
        assert splits_of(files, table(column, *cells)) == ["", "", ""]


def test_columns_of_other_things_are_no_concern(files, recwarn):
    assert splits_of(files, table("kind,fold", "train,k", "train,k")) == ["", ""]
    assert splits_of(files, table("comment,id", "train with care,1", "test,2")) == ["", ""]
    assert not recwarn.list


def test_commas_at_the_ends_of_lines_are_no_cells(files):
    (files / "t.csv").write_text("image,mask\na.jpg,a_mask.png,\nb.jpg,b_mask.png,,\n,,\n")
    assert rows(find_pairs(files / "t.csv"))[1] == ("b.jpg", "b_mask.png", "", "")
    (files / "u.csv").write_text("image,mask,\na.jpg,a_mask.png,\n")
    assert len(find_pairs(files / "u.csv")) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_table_of_any_spreadsheet_is_read(tmp_path, encoding):
    (tmp_path / "images").mkdir()
    for name in ("Grün.png", "Grün_mask.png"):
        (tmp_path / "images" / name).touch()
    text = "image,mask\nimages\\Grün.png,images\\Grün_mask.png\n"
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    assert [pair.image.name for pair in find_pairs(tmp_path / "t.csv")] == ["Grün.png"]


def test_columns_are_named_with_the_words_of_from_folder(files):
    frame = pd.DataFrame({"photo": [str(files / "a.jpg")], "truth": [str(files / "a_mask.png")]})
    frame.to_csv(files / "t.csv", index=False)
    for table in (frame, files / "t.csv", str(files / "t.csv")):
        assert len(find_pairs(table, images="photo", masks="truth")) == 1
    with pytest.raises(PairingError, match="prefix= and suffix= are of folders"):
        find_pairs(frame, suffix="_mask")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,mask\na.jpg,a_mask.png,b,c\n", "row 1 has more cells than the 2 columns"),
        ("image,mask,valid\na.jpg,a_mask.png,maybe\n", "maybe in the column 'valid'.*True"),
        ("a.jpg,a_mask.png\nb.jpg,b_mask.png\n", r"first line .*names files.*line image,mask"),
        ("", "cannot be read as a table"),
        ("image,mask\n", "has no rows"),
        ("picture,mask\na.jpg,a_mask.png\n", r"no column 'image'.*picture, mask.*image=\.\.\."),
        ("image,truth\na.jpg,a_mask.png\n", "no column 'mask'"),
        ("image,mask\na.jpg,gone.png\nb.jpg,lost.png\n", r"2 mask files .*gone\.png, .*lost\.png"),
        ("image,mask\n" + "x.jpg,a_mask.png\n" * 12, "12 image files.* and 2 more"),
        ("image,mask\na.jpg,a_mask.png\na.jpg,b_mask.png\n", r"more than once: .*a\.jpg"),
        ("image,mask\n,a_mask.png\n", r"no image in row 1"),
        ("image,mask,split\na.jpg,a_mask.png,later\n", "split later in .*; train, valid"),
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
    with pytest.raises(OptionError, match="mask=3: the name of a column"):
        pairs_from_table(files / "table.csv", mask=3)
