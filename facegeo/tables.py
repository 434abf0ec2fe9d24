"""One table, three outputs: the terminal, Markdown and CSV. Nobody types a number."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

Cell = str | int | float | None
DIGITS = 2
STAGE_COLUMNS = {  # column: the end of its key
    "LE %": "error_LE_pct",
    "RE %": "error_RE_pct",
    "N %": "error_N_pct",
    "LM %": "error_LM_pct",
    "RM %": "error_RM_pct",
    "mean %": "error_pct",
    ">5 %": "fail5_pct",
    ">10 %": "fail10_pct",
    "AUC": "auc10",
}
STAGE_NOTE = (
    "error = mean over images of the distance to the true point / face box width, in %; "
    "mean = mean of the five points; >t % = share of images, in %, whose error of a point "
    "exceeds t %, mean of the five points; AUC = area under the curve of the images' mean errors "
    "from 0 to 10 %, 1 is best."
)


@dataclass(frozen=True)
class Table:
    """Rows under named columns, with what a reader must know to read them.

    Attributes:
        title: One line.
        columns: Their names, with units.
        rows: One cell a column; the first names the row. None is shown as a dash.
        note: How the numbers are defined and from what they come; may be empty.
        digits: Decimals of the float columns that do not have two.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    digits: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"a row of table {self.title!r} must have {len(self.columns)} cells, "
                    f"got {len(row)}: {row}"
                )

    def rich(self) -> RichTable:
        """Return the table for a terminal; ``rich.print`` shows it."""
        table = RichTable(title=self.title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.title_justify = "left"
        table.caption, table.caption_justify = self.note or None, "left"
        for column, right in zip(self.columns, self._right_aligned(), strict=True):
            table.add_column(Text(column), justify="right" if right else "left", no_wrap=True)
        for row in self._shown():
            table.add_row(*map(Text, row))
        return table

    def markdown(self) -> str:
        """Return title, table and note as GitHub Markdown, ending in a newline."""
        lines = [f"**{self.title}**", "", _line(self.columns)]
        lines += [_line(["---:" if right else ":---" for right in self._right_aligned()])]
        lines += [_line(row) for row in self._shown()]
        lines += ["", self.note] if self.note else []
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Return header and rows as CSV: floats to six digits, None as an empty field, no note."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        for row in self.rows:
            writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row])
        return text.getvalue()

    def _shown(self) -> list[list[str]]:
        places = [self.digits.get(column, DIGITS) for column in self.columns]
        return [[_show(c, p) for c, p in zip(row, places, strict=True)] for row in self.rows]

    def _right_aligned(self) -> list[bool]:
        return [
            any(isinstance(row[i], int | float) for row in self.rows)
            for i in range(len(self.columns))
        ]


def stage_table(results: Mapping[str, float], split: str = "test", title: str = "") -> Table:
    """Tabulate the errors of a cascade: a row a stage, the mean shape above them if measured.

    Args:
        results: Metrics by name, such as ``test/stage1/error_pct``, ``test/stage1/error_LE_pct``
            and ``test/mean_shape/error_pct``: what ``LandmarkErrors`` returns. Others are ignored.
        split: First part of the names.
        title: Of the table; by default it names the split.

    Returns:
        The table; a quantity that was not measured is a dash.

    Raises:
        ValueError: If no stage of that split is among the names.
    """
    found = {re.match(rf"{re.escape(split)}/stage(\d+)/", name) for name in results}
    stages = sorted({int(match[1]) for match in found if match})
    if not stages:
        raise ValueError(
            f"no name like {split}/stage1/error_pct among {len(results)} results: "
            f"{sorted(results)[:5]}; was the cascade evaluated on this split?"
        )
    labels = (
        {f"{split}/mean_shape/": "mean shape"} if f"{split}/mean_shape/error_pct" in results else {}
    )
    labels |= {f"{split}/stage{stage}/": f"stage {stage}" for stage in stages}
    return Table(
        title=title or f"Landmark errors on the {split} split",
        columns=("", *STAGE_COLUMNS),
        rows=tuple(
            (label, *(results.get(prefix + end) for end in STAGE_COLUMNS.values()))
            for prefix, label in labels.items()
        ),
        note=STAGE_NOTE,
        digits={"AUC": 3},
    )


def _show(cell: Cell, digits: int) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.{digits}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
