"""A report of studies: HTML, Markdown, CSV and LaTeX beside them, and tables in the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from facegeo.files.shipped import PLAN
from facegeo.files.writing import write_whole
from facegeo.runs.about import sound
from facegeo.studies.apart import apart
from facegeo.studies.comparison import Comparison, compare
from facegeo.studies.facts import Unfinished, commands, facts, unfinished
from facegeo.studies.page import page
from facegeo.studies.runs import Study, read_folder
from facegeo.studies.study_tables import cells_csv, detail_table, latex, main_table, relative

REPORT = "report"


def write_report(study_dirs: Sequence[Path], out: Path | None = None) -> Path:
    """Report on studies that lie in folders.

    Args:
        study_dirs: A folder a study.
        out: What to write, without its ending; None: ``report`` in the study's folder, or in the
            folder that holds all of several.

    Returns:
        The HTML file; Markdown, CSV and LaTeX stand beside it.

    Raises:
        UserError: If a folder is no study's.
    """
    return report_on([read_folder(folder) for folder in study_dirs], out or beside(study_dirs))


def beside(folders: Sequence[Path]) -> Path:
    """Where the report on some folders goes, without its ending."""
    return Path(os.path.commonpath([folder.resolve() for folder in folders])) / REPORT


def report_on(studies: Sequence[Study], out: Path, split: str | None = None) -> Path:
    """Report on studies, wherever their runs were read; as ``write_report``.

    Args:
        studies: To show, in this order.
        out: What to write, without its ending.
        split: Instead of the one that each study compares.
    """
    chosen = {} if split is None else {"split": split}
    comparisons = [
        compare(replace(one, about={**sound(one.about)[0], **chosen}) if chosen else one)
        for one in apart(studies)
    ]
    folder = out.parent
    files = {
        "md": "\n".join(_markdown(one, folder) for one in comparisons),
        "csv": cells_csv(comparisons, folder),
        "tex": "\n".join(latex(one) for one in comparisons),
        "html": page(comparisons, folder),
    }
    for ending, text in files.items():
        write_whole(out.with_name(f"{out.name}.{ending}"), text)
    console = Console()
    for comparison in comparisons:
        _print(comparison, console)
    written = out.with_name(f"{out.name}.html")
    console.print(Text(f"Report: {written} (and .md, .csv, .tex)"), soft_wrap=True)
    return written


def _print(comparison: Comparison, console: Console) -> None:
    console.print(main_table(comparison).rich())
    left = unfinished(comparison)
    for note in comparison.notes:
        console.print(Text(f"Note: {note}", style="yellow"))
    for (variant, status, error), jobs in groupby(left, lambda j: (j.variant, j.status, j.error)):
        told = f": {error}" if error else ""
        console.print(Text(f"{status}: {variant}{_seeds(list(jobs))}{told}"), soft_wrap=True)
    if left:  # wrapped it could not be copied
        console.print(Text("To finish: " + "\n".join(commands(comparison, left))), soft_wrap=True)
    if any(job.status == "planned" for job in left):
        console.print(Text(f"To give up what is only planned: delete the study's {PLAN}"))


def _markdown(comparison: Comparison, folder: Path) -> str:
    """A section of the Markdown file."""
    about, left = comparison.study.about, unfinished(comparison)
    table = main_table(comparison)
    runs = [_links(comparison, number, folder) for number in range(len(comparison.rows))]
    rows = tuple((*row, links) for row, links in zip(table.rows, runs, strict=True))
    table = replace(table, columns=(*table.columns, "runs"), rows=rows)
    details = detail_table(comparison)
    lines = [f"## {comparison.study.name}", ""]
    lines += [f"{about['question']} ", ""] if about.get("question") else []
    sources = [str(about.get("source") or ""), comparison.paper]
    lines += [". ".join(filter(None, sources)), ""] if any(sources) else []
    lines += [f"> {note}\n" for note in comparison.notes]
    lines += [table.markdown()]
    lines += [details.markdown()] if details else []
    if left:
        lines += ["**To do**", ""]
        lines += [f"- {j.variant}{_seeds([j])}: {j.status} {j.error or ''}" for j in left]
        lines += ["", "```", *commands(comparison, left), "```", ""]
    lines += [f"- {name}: {text}" for name, text in facts(comparison).items()]
    return "\n".join(lines) + "\n"


def _seeds(jobs: Sequence[Unfinished]) -> str:
    seeds = [str(job.seed) for job in jobs if job.seed is not None]
    return f", seed {', '.join(seeds)}" if seeds else f" ({sum(job.count for job in jobs)})"


def _links(comparison: Comparison, number: int, folder: Path) -> str:
    runs = comparison.rows[number].variant.done
    return ", ".join(f"[{run.seed}]({quote(relative(run.link, folder), ':/')})" for run in runs)
