"""One table, three outputs: the terminal, Markdown and CSV. Nobody types a number."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

Cell = str | int | float | None
DIGITS = 2


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
        table = RichTable(box=SIMPLE_HEAD, padding=0)  # 100.00 fits 80 columns
        table.title, table.title_justify = escape(self.title), "left"
        table.caption, table.caption_justify = escape(self.note) or None, "left"
        for column, right in zip(self.columns, self._right_aligned(), strict=True):
            side: Literal["left", "right"] = "right" if right else "left"
            table.add_column(Text(column), justify=side, no_wrap=right, overflow="fold")
        for row in self.shown():
            table.add_row(*map(Text, row))
        return table

    def markdown(self) -> str:
        """Return title, table and note as GitHub Markdown, ending in a newline."""
        lines = [f"**{self.title}**", "", _line(self.columns)]
        lines += [_line(["---:" if right else ":---" for right in self._right_aligned()])]
        lines += [_line(row) for row in self.shown()]
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

    def shown(self) -> list[list[str]]:
        """Return the rows as text, None as a dash."""
        places = [self.digits.get(column, DIGITS) for column in self.columns]
        return [[_show(c, p) for c, p in zip(row, places, strict=True)] for row in self.rows]

    def _right_aligned(self) -> list[bool]:
        return [
            any(isinstance(row[i], int | float) for row in self.rows)
            for i in range(len(self.columns))
        ]


def _show(cell: Cell, digits: int) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.{digits}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
