"""A report: kept and read again, shown as one table; other files are refused."""

from pathlib import Path

import pytest

from facegeo.bench.report import Report, Row, read_report
from facegeo.errors import UserError

ROWS = [
    Row("ccnn", "1 face, RTX 2080 Ti", "paper", 1, 14.7, note="CCNN, Table 3"),
    Row("ccnn", "64 faces", "graph", 64, 32.0, 40.0, 31.0, 33.0, 9, 1.5, 2e-4),
]
REPORT = Report({"processor": "one"}, {"clock": "cpu"}, ROWS, ["MTCNN: pip install it"])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    REPORT.write(tmp_path / "deep" / "bench.json")
    assert read_report(tmp_path / "deep" / "bench.json") == REPORT


def test_the_table_has_shares_of_a_call_the_machine_and_what_is_missing() -> None:
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
def test_another_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_report(tmp_path / "old.json")


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can not be read: No such file"):
        read_report(tmp_path / "old.json")
