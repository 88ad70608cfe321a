"""The page of a report: it stands alone, and shows what the findings speak of."""

from html.parser import HTMLParser

from fastunet.checks.audit import audit
from fastunet.checks.finding import Finding
from fastunet.checks.report import Audit

SIZE = (96, 128)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.images, self.sources = [], 0, []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images += 1
            self.sources.append(dict(attrs)["src"])
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_shows_the_files_of_findings(write_pairs, read, write):
    root = write_pairs(6, size=SIZE)
    evil = "<b>&'01'"
    for kind in ("images", "masks"):
        (root / kind / "01.png").rename(root / kind / f"{evil}.png")
    stray = read(root / "masks/02.png")
    stray[0, 0] = 77
    write(root / "masks/02.png", stray)
    page = audit(root).to_html(root / "report.html")
    text = page.read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.images == 6 + 1  # all pairs, and the one of the finding
    assert all(source.startswith("data:image/jpeg;base64,") for source in tags.sources)
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "http" not in text.replace("http-equiv", "")
    assert {file.name for file in root.iterdir()} == {"images", "masks", "report.html"}


def test_what_users_name_is_no_markup(write_pairs):
    root = write_pairs(4, (0, 1), SIZE)
    script = "<script>alert(1)<&script>"
    for kind in ("images", "masks"):
        for i in range(2):
            (root / kind / f"0{i}.png").rename(root / kind / f"{script}{i}.png")
    for name in ("0", "1"):
        (root / "masks" / f"{script}{name}.png").write_bytes(b"")
    report = audit(root.rename(root.with_name("<script>")), classes=["<script>", "<i>"])
    text = report.to_html(root.with_name("report.html")).read_text()
    assert "<script" not in text
    assert "<i>" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;&amp;script&gt;0.png") >= 3  # finding and figure
    assert "<title>Audit of &lt;script&gt;</title>" in text


def test_a_report_without_pairs_is_a_page_without_pictures(tmp_path):
    finding = Finding("error", "nothing-pairs", "Nothing pairs.", "Mend this.")
    report = Audit(tmp_path, tmp_path, "nothing pairs", 0, {}, (finding,))
    text = report.to_html(tmp_path / "report.html").read_text()
    assert "Error: <code>nothing-pairs</code>" in text
    assert "<h2>Pairs</h2>" not in text
    assert "<img" not in text


def test_of_many_files_fifty_are_named(tmp_path):
    files = tuple(f"{i}.png" for i in range(60))
    report = Audit(tmp_path, tmp_path, "", 0, {}, (Finding("note", "a", "b", "c", files, 60),))
    text = report.to_html(tmp_path / "report.html").read_text()
    assert "<summary>60 files</summary>0.png, 1.png" in text
    assert "49.png and 10 more</details>" in text
