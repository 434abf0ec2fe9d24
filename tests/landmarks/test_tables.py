import io

import pytest
from rich.console import Console

from facegeo.landmarks.tables import stage_table

POINTS = ("LE", "RE", "N", "LM", "RM")


def stage(prefix: str, error: float) -> dict[str, float]:
    """Every quantity of one stage, each a different number."""
    points = {f"{prefix}error_{p}_pct": error + i / 100 for i, p in enumerate(POINTS, 1)}
    rest = {"error_pct": error, "fail5_pct": 20.0, "fail10_pct": 3.0, "auc10": 0.8125}
    return points | {prefix + name: value for name, value in rest.items()}


def test_stage_table_has_a_row_a_stage_in_their_order_under_the_mean_shape() -> None:
    results = stage("test/stage10/", 1.0) | stage("test/stage2/", 1.5) | stage("test/stage1/", 2.0)
    results |= stage("test/mean_shape/", 8.0) | stage("val/stage4/", 9.0) | {"test/loss": 0.1}
    table = stage_table(results)
    assert [row[0] for row in table.rows] == ["mean shape", "stage 1", "stage 2", "stage 10"]
    assert table.rows[1][1:] == (2.01, 2.02, 2.03, 2.04, 2.05, 2.0, 20.0, 3.0, 0.8125)


def test_stage_table_without_a_baseline_and_with_gaps() -> None:
    table = stage_table({"val/stage1/error_pct": 2.0}, split="val", title="Quick look")
    assert table.rows == (("stage 1", None, None, None, None, None, 2.0, None, None, None),)
    assert table.title == "Quick look"
    assert "face box width" in table.note


def test_stage_table_fits_eighty_columns() -> None:
    results = stage("test/mean_shape/", 10.5) | stage("test/stage1/", 12.0)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(stage_table(results).rich())
    assert "…" not in console.export_text()


def test_stage_table_of_a_split_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no name like test/stage1/error_pct among 9 results"):
        stage_table(stage("val/stage1/", 2.0))
