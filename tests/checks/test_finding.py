"""A finding as plain data."""

import json

from fastunet.checks.finding import Finding


def test_a_finding_is_plain_json():
    finding = Finding("error", "truncated", "One file ends early.", "Copy it.", ("a.png",), 1)
    assert json.loads(json.dumps(finding.to_dict())) == {
        "severity": "error",
        "code": "truncated",
        "message": "One file ends early.",
        "remedy": "Copy it.",
        "files": ["a.png"],
        "count": 1,
    }
