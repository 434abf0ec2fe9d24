"""One table, three outputs: the terminal, Markdown and CSV. Nobody types a number."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.markup import escape
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
NORMAL_COLUMNS = {  # column: the end of its key
    "mean": "mean_deg",
    "std": "std_deg",
    "med.": "median_deg",
    "RMSE": "rmse_deg",
    "<11": "lt11.25_pct",
    "<20": "lt20_pct",
    "<25": "lt25_pct",
    "<30": "lt30_pct",
    "image": "image_mean_deg",
    "+-": "image_std_deg",
}
PERSON_COLUMNS = {  # column: the end of its key
    "mean": "mean_deg",
    "med.": "median_deg",
    "<11.25": "lt11.25_pct",
    "<20": "lt20_pct",
    "<22.5": "lt22.5_pct",
    "<25": "lt25_pct",
    "<30": "lt30_pct",
}
PERSON_NOTE = "Last t, all face pixels of a person pooled; <x = share below x degrees, in %."
NORMAL_NOTE = (
    "Angle to the true normal in degrees over face pixels, all images pooled; <x = share of "
    "pixels below x degrees (11: 11.25), in %; image, +- = mean and standard deviation over "
    "images of each image's mean. comp. = batches of 8 images pooled, then averaged, as the "
    "authors' tools do (masks cut at one half); paper = printed for Photoface."
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


def normal_table(
    results: Mapping[str, float],
    split: str,
    title: str,
    paper: Mapping[str, Mapping[str, float | bool]],
) -> Table:
    """Tabulate the errors of normals: a row for each t, the last as the authors average, paper's.

    Where the data have an average face, its errors come first: what must be beaten.

    Args:
        results: Metrics by name, such as ``test/t2/mean_deg`` and
            ``test/t2/author_compat/mean_deg``. Others are ignored.
        split: First part of the names.
        title: Of the table; say what data it is and how it was split.
        paper: What the paper prints for Photoface, by t: ``t2: {mean_deg: 7.31, ...}``.

    Raises:
        ValueError: If no t of that split is among the names.
    """
    found = {re.match(rf"{re.escape(split)}/(t\d+)/mean_deg", name) for name in results}
    stages = sorted((match[1] for match in found if match), key=lambda t: int(t[1:]))
    if not stages:
        raise ValueError(f"no name like {split}/t0/mean_deg among {sorted(results)[:5]}")
    rows = {t: _ends(results, f"{split}/{t}/") for t in stages}
    last = stages[-1]
    if f"{split}/average_face/mean_deg" in results:
        rows = {"average face": _ends(results, f"{split}/average_face/")} | rows
    rows[f"{last} comp."] = _ends(results, f"{split}/{last}/author_compat/")
    rows |= {
        f"paper {t}": {k: float(v) for k, v in cells.items() if k != "certain"}
        for t, cells in paper.items()
        if t in stages
    }
    return Table(
        title=title,
        columns=("", *NORMAL_COLUMNS),
        rows=tuple(
            (n, *(row.get(end) for end in NORMAL_COLUMNS.values())) for n, row in rows.items()
        ),
        note=NORMAL_NOTE,
        digits={"+-": 1},
    )


def person_table(
    results: Mapping[str, float], part: str, people: Sequence[str], title: str
) -> Table:
    """Tabulate the errors of normals at the last t: a row for all people, and one for each.

    Args:
        results: Metrics by name, such as ``test/t2/mean_deg`` and ``test/yaleB12/mean_deg``.
        part: First part of the names, such as ``test`` or ``test/mixtures``.
        people: Names of the people.
        title: Of the table.
    """
    found = [re.match(rf"{re.escape(part)}/(t\d+)/mean_deg", name) for name in results]
    last = max((match[1] for match in found if match), key=lambda t: int(t[1:]))
    rows = {"all": _ends(results, f"{part}/{last}/")}
    rows |= {person: _ends(results, f"{part}/{person}/") for person in people}
    return Table(
        title=title,
        columns=("", *PERSON_COLUMNS),
        rows=tuple(
            (n, *(row.get(end) for end in PERSON_COLUMNS.values())) for n, row in rows.items()
        ),
        note=PERSON_NOTE,
    )


def _ends(results: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {name[len(prefix) :]: v for name, v in results.items() if name.startswith(prefix)}


def _show(cell: Cell, digits: int) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.{digits}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
