"""Images that belong together by their names."""

import shutil

from fastunet.checks.audit import audit

SIZE = (96, 128)


def test_groups_torn_by_the_split_are_a_warning_and_a_note_without_one(write_pairs, split, found):
    root = write_pairs(12, size=SIZE)
    for kind in ("images", "masks"):
        for file in (root / kind).iterdir():
            number = int(file.stem)
            file.rename(file.with_name(f"car{number // 3}_{number % 3}.png"))
    report = audit(root)
    assert found(report) == {"groups": "note"}
    assert 'groups="auto"' in report.findings[0].remedy
    assert found(audit(split(root, ["car1_0", "car1_1", "car1_2"]))) == {}
    shutil.rmtree(root.with_name("data-split"))
    torn = audit(split(root, ["car1_0", "car2_0"]))
    assert found(torn) == {"group-across-splits": "warning"}
    assert "car1 in train, valid; car2 in train, valid" in torn.findings[0].message
