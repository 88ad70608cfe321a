"""The files that a command reads."""

from fastunet.cli.inputs import bundle_files, data_files
from fastunet.plan import FileOptions


def test_all_files_of_a_data_set_are_read_also_those_that_pair_with_none(write_pairs):
    root = write_pairs(3)
    (root / "masks/02.png").unlink()
    (root / "notes.csv").write_text("a,b\n")
    (root / "notes.pdf").write_bytes(b"")
    images, masks = ([root / kind / f"0{i}.png" for i in range(3)] for kind in ("images", "masks"))
    assert set(data_files(FileOptions(root))) == {*images, *masks[:2], root / "notes.csv"}


def test_where_nothing_pairs_every_file_may_be_one_of_the_data(tmp_path):
    (tmp_path / "deep").mkdir()
    files = {tmp_path / "a.pdf", tmp_path / "deep/b.png"}
    for file in files:
        file.touch()
    assert set(data_files(FileOptions(tmp_path))) == files


def test_a_bundle_is_read_with_what_its_run_says_of_the_split(tmp_path):
    for name in ("bundle.json", "model.safetensors", "split.json", "results.png"):
        (tmp_path / name).touch()
    read = {"bundle.json", "model.safetensors", "split.json"}
    assert {file.name for file in bundle_files(tmp_path)} == read
    assert {file.name for file in bundle_files(tmp_path / "bundle.json")} == read
