"""A comparison as tables: for the terminal, Markdown and the page, as CSV and as LaTeX."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from facegeo.files.tables import Cell, Table
from facegeo.landmarks.tables import STAGE_COLUMNS, STAGE_NOTE
from facegeo.normals.tables import NORMAL_COLUMNS, NORMAL_NOTE
from facegeo.studies.comparison import Comparison, Difference, Row

MEASURES = {  # unit, definition
    "error_pct": (
        "mean error, % of the face box width",
        "Mean over images of the distance to the true point / face box width, in %; mean of the "
        "five points.",
    ),
    "mean_deg": (
        "mean angle, degrees",
        "Angle to the true normal in degrees, mean over the face pixels of all images.",
    ),
}
STATISTICS = (
    "Mean and sample standard deviation (over n - 1) over the seeds. Difference = this row minus "
    "the baseline, mean over the seeds that both have; p of a two-sided paired t-test over them, "
    "their number in brackets; with few seeds it means little, and it is not corrected for many "
    "rows."
)
WEB = ("https://", "http://")
"""How an address begins; a private W&B server may have no certificate."""
DOUBT = "paper = its printed number, on its own data; (?) = its figure or text leave doubt."


def label(comparison: Comparison) -> str:
    """The measure in words, with its unit."""
    return MEASURES.get(comparison.measure, (comparison.measure, ""))[0]


def _decimals(comparison: Comparison) -> int:
    """Decimals that suit the values: two, none from 1000 on, four below one."""
    values = [abs(value) for row in comparison.rows for value in row.values.values()]
    largest = max((value for value in values if math.isfinite(value)), default=1.0)
    return 0 if largest >= 1000 else 2 if largest >= 1 else 4


def show_p(gap: Difference) -> str:
    """The p value and its number of seeds, such as ``0.012 (3)``."""
    if gap.p is None:
        return f"- ({gap.n})"
    return f"{'<0.001' if gap.p < 0.001 else f'{gap.p:.3f}'} ({gap.n})"


def _paper(row: Row, places: int) -> str | None:
    """The paper's number, marked if it is in doubt."""
    if row.paper is None:
        return None
    return f"{row.paper.value:,.{places}f}{'' if row.paper.certain else ' (?)'}"


def main_table(comparison: Comparison) -> Table:
    """Tabulate a study: a row a variant, or a row an entry of one variant."""
    places = _decimals(comparison)
    mean = f"mean {comparison.measure}"
    rows: list[tuple[Cell, ...]] = []
    for row in comparison.rows:
        gap = row.difference
        rows.append(
            (
                f"{row.name} *" if row.name == comparison.baseline else row.name,
                f"{len(row.values)} of {row.variant.planned}",  # seeds
                row.spread.mean,
                row.spread.std,
                f"{gap.mean:+.{places + 1}f}" if gap else None,
                show_p(gap) if gap else None,
                _paper(row, places),
            )
        )
    named = f"{comparison.measure}: as the runs' metrics name it."
    defined = MEASURES.get(comparison.measure, ("", named))[1]
    base = "* = baseline. " if comparison.baseline else ""
    return Table(
        title=f"{comparison.study.name}: {comparison.split} split",
        columns=("", "seeds", mean, "+-", "difference", "p (n)", "paper"),
        rows=tuple(rows),
        note=f"{defined} {STATISTICS} {base}{DOUBT}",
        digits={mean: places, "+-": places + 1},
    )


def detail_table(comparison: Comparison) -> Table | None:
    """Tabulate all usual measures, means over the seeds; None for a measure of another kind."""
    if comparison.measure in STAGE_COLUMNS.values():
        columns, note = STAGE_COLUMNS, STAGE_NOTE
    elif comparison.measure in NORMAL_COLUMNS.values():
        columns, note = NORMAL_COLUMNS, NORMAL_NOTE
    else:
        return None
    rows: list[tuple[Cell, ...]] = []
    for row in (row for row in comparison.rows if row.values):
        cells: list[Cell] = [row.name]
        for end in columns.values():
            values = comparison.by_seed(row.variant, row.entry, end).values()
            cells.append(sum(values) / len(values) if values else None)
        rows.append(tuple(cells))
        printed = comparison.cells.get(row.name)
        if isinstance(printed, dict) and {*printed} & {*columns.values()} - {comparison.measure}:
            numbers = (printed.get(end) for end in columns.values())
            rows.append((f"{row.name}, paper", *(None if n is None else float(n) for n in numbers)))
    title = f"{comparison.study.name}: all measures, means over the seeds"
    return Table(title, ("", *columns), tuple(rows), note, {"AUC": 3}) if rows else None


def cells_csv(comparisons: Sequence[Comparison], folder: Path) -> str:
    """All rows of all studies as one CSV: numbers to six digits, runs' folders from ``folder``."""
    text = io.StringIO()
    names = ["study", "split", "measure", "row", "seeds_done", "seeds_planned", "mean", "std"]
    names += ["baseline", "difference", "p", "common_seeds", "paper", "paper_certain", "runs"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for comparison in comparisons:
        for row in comparison.rows:
            cells: dict[str, object] = {
                "study": comparison.study.name,
                "split": comparison.split,
                "measure": comparison.measure,
                "row": row.name,
                "seeds_done": row.spread.n,
                "seeds_planned": row.variant.planned,
                "mean": _six(row.spread.mean),
                "std": _six(row.spread.std),
                "baseline": comparison.baseline,
                "runs": " ".join(relative(run.link, folder) for run in row.variant.done),
            }
            if (gap := row.difference) is not None:
                test = {"difference": _six(gap.mean), "p": _six(gap.p)}
                cells |= test | {"common_seeds": gap.n}
            if row.paper:
                cells |= {"paper": row.paper.value, "paper_certain": row.paper.certain}
            writer.writerow(cells)
    return text.getvalue()


def latex(comparison: Comparison) -> str:
    """The table for a LaTeX document that loads ``booktabs``."""
    places, about = _decimals(comparison), comparison.study.about
    caption = [str(about.get("question") or f"{comparison.study.name}.")]
    caption += [f"{about['source']}."] if about.get("source") else []
    caption += [f"{label(comparison).capitalize()}; mean and standard deviation over seeds."]
    caption += [f"Difference to {comparison.baseline}."] if comparison.baseline else []
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{_tex(' '.join(caption))}}}",
        f"  \\label{{tab:{re.sub(r'[^a-z0-9]+', '-', comparison.study.name.lower())}}}",
        r"  \begin{tabular}{lrrrrr}",
        r"    \toprule",
        r"     & seeds & mean & difference & $p$ & paper \\",
        r"    \midrule",
    ]
    for row in comparison.rows:
        shown, gap = row.spread, row.difference
        mean = "--" if shown.mean is None else f"{shown.mean:.{places}f}"
        if shown.std is not None:
            mean = f"${mean} \\pm {shown.std:.{places + 1}f}$"
        cells = [_tex(row.name), f"{shown.n}/{row.variant.planned}", mean]
        p = "--" if gap is None or gap.p is None else show_p(gap).split()[0]
        cells += [f"${gap.mean:+.{places + 1}f}$" if gap else "--"]
        cells += [p.replace("<0.001", "$<0.001$"), _tex(_paper(row, places) or "--")]
        lines.append("    " + " & ".join(cells) + r" \\")
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def relative(link: str, folder: Path) -> str:
    """A run's address, or its folder as seen from ``folder``."""
    if link.startswith(WEB):
        return link
    return Path(os.path.relpath(link, folder.resolve())).as_posix()


def _tex(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    special = {char: f"\\{char}" for char in "&%$#_{}"} | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
    return "".join(special.get(char, char) for char in text)


def _six(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"
