"""What became slower: beyond the noise, of rows that both reports have."""

from dataclasses import replace

import pytest

from facegeo.bench.compare import compare_reports
from facegeo.bench.report import Report, Row

BEFORE = Row("ccnn", "1 face", "graph", 1, 10.0, 12.0, 9.0, 11.0, 9)


def report(*rows: Row, processor: str = "one", clock: str = "cpu") -> Report:
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
    comparison = compare_reports(report(BEFORE), report(after))
    (change,) = comparison.changes
    assert change.verdict == verdict
    (told,) = comparison.plain()["changes"]
    assert (told["case"], told["now_ms"], told["verdict"]) == ("1 face", median, verdict)
    assert change.ratio == pytest.approx(median / 10)
    assert comparison.worst == (1.3 if verdict == "SLOWER" else 1.0)
    row = comparison.table().rows[0]
    assert row[3:] == (10.0, median, pytest.approx(median / 10), verdict)


def test_a_small_difference_is_none_however_sharp() -> None:
    before = replace(BEFORE, low_ms=10.0, high_ms=10.0)
    after = replace(before, median_ms=10.4, low_ms=10.4, high_ms=10.4)
    assert compare_reports(report(before), report(after)).changes[0].verdict == ""
    assert compare_reports(report(after), report(before)).changes[0].verdict == ""


def test_rows_of_one_report_alone_and_the_papers_are_left_out() -> None:
    paper = Row("ccnn", "1 face", "paper", 1, 14.7)
    before = report(BEFORE, paper, replace(BEFORE, name="gone"))
    after = report(BEFORE, paper, replace(BEFORE, case="64 faces"))
    comparison = compare_reports(before, after)
    assert [change.after.key for change in comparison.changes] == [BEFORE.key]
    assert comparison.warnings == ["2 rows stand in one of the two alone."]


def test_other_work_under_the_same_name_is_told() -> None:
    before, after = report(BEFORE), report(BEFORE)
    before = replace(before, settings={"seconds": 1.0, "casfne": {"size": 128, "model": None}})
    after = replace(after, settings={"seconds": 4.0, "casfne": {"size": 256, "model": None}})
    warnings = compare_reports(before, after).warnings
    assert warnings == ["Warning: casfne.size was 128, is 256."]


def test_another_machine_or_clock_is_told() -> None:
    other = report(BEFORE, processor="two", clock="wall")
    note = compare_reports(report(BEFORE), other).table().note
    assert "Warning: processor was one, is two." in note
    assert "Warning: clock was cpu, is wall." in note
