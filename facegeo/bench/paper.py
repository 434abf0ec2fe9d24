"""What the papers say of time, to stand beside ours."""

from __future__ import annotations

from facegeo.bench.report import Row
from facegeo.papers import paper_title, paper_values

WHERE = "RTX 2080 Ti"
PRINTED = {  # group: items, section, measure, name of the table
    "ccnn": ("1 face", "ccnn.table3_size_speed", "time_ms", "Table 3"),
    "casfne": ("1 image", "casfne.table4_cost", "runtime_ms", "Table IV"),
}


def paper_rows(group: str) -> list[Row]:
    """A row for each time that a group's paper prints, with its source."""
    what, section, measure, table = PRINTED[group]
    cells = paper_values(section) or {}
    title = paper_title(section).split(":")[0]
    return [
        Row(
            group,
            f"{what}, {WHERE}",
            f"paper, {name}",
            1,
            float(cell[measure]),
            note=_note(title, table, name),
        )
        for name, cell in cells.items()
        if measure in cell
    ]


def _note(title: str, table: str, name: str) -> str:
    count = int(name[1:]) - 1 if name[0] == "t" and name[1:].isdigit() else None
    refinements = "" if count is None else f", {count} refinement{'s' * (count != 1)}"
    return f"{title}, {table}{refinements}"
