"""The papers' times, each with its source."""

import pytest

from facegeo.bench.paper import paper_rows


def test_ccnns_table_3() -> None:
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
def test_casfnes_table_iv(name: str, ms: float, note: str) -> None:
    (row,) = [row for row in paper_rows("casfne") if row.name == name]
    assert (row.median_ms, row.note, row.case) == (ms, note, "1 image, RTX 2080 Ti")
    assert row.rounds == 0
