"""A report: written and read, shown as one table, compared with an earlier one."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from facegeo.bench.report import Report, Row, compare_reports, machine, paper_rows, read_report
from facegeo.errors import UserError
from facegeo.files.shipped import experiments_dir

ROWS = [
    Row("ccnn", "1 face, RTX 2080 Ti", "paper", 1, 14.7, note="CCNN, Table 3"),
    Row("ccnn", "64 faces", "graph", 64, 32.0, 40.0, 31.0, 33.0, 9, 1.5, 2e-4),
]
REPORT = Report({"processor": "one"}, {"clock": "cpu"}, ROWS, ["MTCNN: pip install it"])


def test_a_written_report_is_read(tmp_path: Path) -> None:
    REPORT.write(tmp_path / "deep" / "bench.json")
    assert read_report(tmp_path / "deep" / "bench.json") == REPORT


def test_the_table_has_shares_of_a_call_the_machine_and_missing_candidates() -> None:
    table = REPORT.table()
    assert table.rows[0][3:8] == (14.7, None, pytest.approx(68.0, abs=0.1), None, None)
    assert table.rows[1][3:8] == (0.5, 0.625, 2000.0, 1.5, "2e-04")
    assert "processor one" in table.note
    assert "Left out: MTCNN: pip install it." in table.note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "its format is another"),
        ("[]", "its format is another"),
        ('{"format": "x", "rows": []}', "its format is x"),
        ('{"format": "facegeo-bench-1", "rows": [{"group": "a"}]}', "its format is another"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_report(tmp_path / "old.json")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_report(tmp_path / "old.json")


@pytest.mark.parametrize("file", sorted(experiments_dir().glob("speed_*.json")), ids=str)
def test_shipped_reports_have_the_keys_of_today(file: Path) -> None:
    report = read_report(file)
    assert [*asdict(report)] == ["machine", "settings", "rows", "missing"]
    assert compare_reports(report, report).worst == 1.0


def test_the_machine_names_the_instructions_that_pytorch_is_limited_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    found = machine()
    assert found["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert "ATEN_CPU_CAPABILITY" not in found


BEFORE = Row("ccnn", "1 face", "graph", 1, 10.0, 12.0, 9.0, 11.0, 9)


def measured(*rows: Row, processor: str = "one", clock: str = "cpu") -> Report:
    return Report({"processor": processor}, {"clock": clock}, rows)


@pytest.mark.parametrize(
    ("median", "low", "high", "verdict"),
    [
        (13.0, 11.5, 14.0, "SLOWER"),
        (13.0, 10.5, 14.0, ""),  # the middle halves overlap
        (7.0, 6.5, 8.5, "faster"),
        (7.0, 6.5, 9.5, ""),
    ],
)
def test_slower_is_beyond_the_noise(median: float, low: float, high: float, verdict: str) -> None:
    after = replace(BEFORE, median_ms=median, low_ms=low, high_ms=high)
    comparison = compare_reports(measured(BEFORE), measured(after))
    (change,) = comparison.changes
    assert change.verdict == verdict
    (shown,) = comparison.plain()["changes"]
    assert (shown["case"], shown["now_ms"], shown["verdict"]) == ("1 face", median, verdict)
    assert change.ratio == pytest.approx(median / 10)
    assert comparison.worst == (1.3 if verdict == "SLOWER" else 1.0)
    row = comparison.table().rows[0]
    assert row[3:] == (10.0, median, pytest.approx(median / 10), verdict)


def test_a_small_difference_is_noise() -> None:
    before = replace(BEFORE, low_ms=10.0, high_ms=10.0)
    after = replace(before, median_ms=10.4, low_ms=10.4, high_ms=10.4)
    assert compare_reports(measured(before), measured(after)).changes[0].verdict == ""
    assert compare_reports(measured(after), measured(before)).changes[0].verdict == ""


def test_unpaired_rows_and_the_papers_are_left_out() -> None:
    paper = Row("ccnn", "1 face", "paper", 1, 14.7)
    before = measured(BEFORE, paper, replace(BEFORE, name="gone"))
    after = measured(BEFORE, paper, replace(BEFORE, case="64 faces"))
    comparison = compare_reports(before, after)
    assert [change[:3] for change in comparison.changes] == [BEFORE.key]
    assert comparison.warnings == ["2 rows are in only one of the two."]


def test_other_settings_are_warned_of() -> None:
    before, after = measured(BEFORE), measured(BEFORE)
    before = replace(before, settings={"seconds": 1.0, "casfne": {"size": 128, "model": None}})
    after = replace(after, settings={"seconds": 4.0, "casfne": {"size": 256, "model": None}})
    warnings = compare_reports(before, after).warnings
    assert warnings == ["Warning: casfne.size was 128, is 256."]


def test_another_machine_or_clock_is_warned_of() -> None:
    other = measured(BEFORE, processor="two", clock="wall")
    note = compare_reports(measured(BEFORE), other).table().note
    assert "Warning: processor was one, is two." in note
    assert "Warning: clock was cpu, is wall." in note


def test_times_of_the_ccnn_papers_table_3() -> None:
    rows = {row.name: row for row in paper_rows("ccnn")}
    assert {name: row.median_ms for name, row in rows.items()} == {
        "paper, CCNN": 14.7,
        "paper, Chen Rui": 15.9,
    }
    assert rows["paper, CCNN"].note == "Duan, Wang, Wu, Table 3"


@pytest.mark.parametrize(
    ("name", "ms", "note"),
    [
        ("paper, t3", 12, "Wang, Zhang, Ma, Guo, Table IV, 2 refinements"),
        ("paper, t2", 12, "Wang, Zhang, Ma, Guo, Table IV, 1 refinement"),
        ("paper, hf", 79, "Wang, Zhang, Ma, Guo, Table IV"),
    ],
)
def test_times_of_the_casfne_papers_table_iv(name: str, ms: float, note: str) -> None:
    (row,) = [row for row in paper_rows("casfne") if row.name == name]
    assert (row.median_ms, row.note, row.case) == (ms, note, "1 image, RTX 2080 Ti")
    assert row.rounds == 0
