"""`fastunet report`, as a person types it."""


def test_report_makes_the_page_of_a_finished_run_again(run, write_pairs, in_tmp):
    words = ("--size", 32, "--width", 4, "--bs", 4, "--device", "cpu")
    code, _, _ = run("train", write_pairs(8), "--epochs", 1, "--out", "r", *words)
    assert code == 0
    (in_tmp / "r/report.html").unlink(missing_ok=True)
    code, out, err = run("report", "r")
    assert (code, err) == (0, "")
    assert out.strip() == "The report is in r/report.html"
    page = (in_tmp / "r/report.html").read_text()
    assert "2 images of the validation part" in page
    assert f"Segmenter.load(&#39;{in_tmp / 'r'}&#39;)" in page
    # a run with a report is a run's alone, which another may replace
    more = ("--epochs", 1, "--out", "r", "--overwrite", *words)
    assert run("train", in_tmp / "data", *more)[0] == 0


def test_report_of_what_is_no_run_is_one_line(run, write_bundle, in_tmp):
    code, out, err = run("report", write_bundle())
    assert (code, out) == (2, "")
    assert err.startswith("fastunet: error: b has no split.json")
    assert err.count("\n") == 1
