import io

import pytest
from rich.console import Console

from facegeo.normals.tables import NORMAL_COLUMNS, normal_table, refinement_table


def normal(prefix: str, mean: float) -> dict[str, float]:
    """Every quantity of one t, each a different number."""
    ends = NORMAL_COLUMNS.values()
    return {f"{prefix}{end}": mean + place / 100 for place, end in enumerate(ends)}


PAPER = {
    "t0": {"mean_deg": 10.21, "std_deg": 7.75, "lt30_pct": 97.21, "certain": True},
    "t3": {"mean_deg": 7.28, "certain": True},
}


def test_normal_table_has_a_row_a_t_then_the_authors_average_then_the_papers() -> None:
    results = normal("test/t10/", 3.0) | normal("test/t2/", 4.0) | normal("test/t0/", 5.0)
    results |= {"test/t10/author_compat/mean_deg": 3.5, "test/t0/author_compat/mean_deg": 5.5}
    results |= normal("val/t3/", 9.0) | {"test/loss": 0.1}
    table = normal_table(results, "test", "Faces", PAPER)
    dashes = (None,) * 4
    assert [row[0] for row in table.rows] == ["t0", "t2", "t10", "t10 comp.", "paper t0"]
    assert table.rows[1][1:] == (4.0, 4.01, 4.02, 4.03, 4.04, 4.05, 4.06, 4.07, 4.08, 4.09)
    assert table.rows[3][1:] == (3.5, None, *dashes, *dashes)
    assert table.rows[4][1:] == (10.21, 7.75, *dashes, None, 97.21, None, None)
    assert table.title == "Faces"


def test_normal_table_fits_eighty_columns() -> None:
    results = {name: 100.0 for name in normal("test/t5/", 0.0) if name.endswith("pct")}
    results |= {name: 40.0 for name in normal("test/t5/", 0.0) if name.endswith("deg")}
    results |= {"test/t5/author_compat/mean_deg": 40.0}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(normal_table(results, "test", "Faces", {}).rich())
    text = console.export_text()
    assert "…" not in text
    assert "t5 comp." in text


def test_refinement_table_says_how_far_each_moves_and_whether_it_looks() -> None:
    results = normal("test/t0/", 5.0) | normal("test/t1/", 4.0) | normal("val/t2/", 3.0)
    results |= {"test/t1/moved_deg": 3.5, "test/t1/normals_used_deg": 0.2}
    table = refinement_table(results, "test", "Refinements")
    assert table.columns == ("", "error", "moved", "used")
    assert table.rows == (("t0", 5.0, None, None), ("t1", 4.0, 3.5, 0.2))


def test_normal_table_of_a_split_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no name like val/t0/mean_deg among \['test/t0/"):
        normal_table(normal("test/t0/", 2.0), "val", "Faces", {})
