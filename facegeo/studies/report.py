"""A report of studies: HTML, Markdown, CSV and LaTeX files, and tables in the terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rich.console import Console
from rich.text import Text

from facegeo import __version__
from facegeo.files.writing import write_whole
from facegeo.runs.jobs import sound
from facegeo.studies.comparison import Comparison, compare
from facegeo.studies.facts import Unfinished, commands, done, facts, unfinished
from facegeo.studies.plots import pictures, study_plots
from facegeo.studies.runs import Study, read_folder
from facegeo.studies.tables import WEB, cells_csv, detail_table, label, latex, main_table, relative
from facegeo.studies.variants import divide

if TYPE_CHECKING:
    import plotly.graph_objects as go

REPORT = "report"
TEMPLATES = Path(__file__).parent / "templates"


def write_report(study_dirs: Sequence[Path], out: Path | None = None) -> Path:
    """Report on studies in folders.

    Args:
        study_dirs: One folder a study.
        out: Path of the files without ending; None: ``report`` in the study's folder, or in the
            folder that holds all of several.

    Returns:
        The HTML file; Markdown, CSV and LaTeX are written beside it.

    Raises:
        UserError: If a folder is not a study's.
    """
    return report_on([read_folder(folder) for folder in study_dirs], out or beside(study_dirs))


def beside(folders: Sequence[Path]) -> Path:
    """Default path, without ending, of the report on some folders."""
    return Path(os.path.commonpath([folder.resolve() for folder in folders])) / REPORT


def report_on(studies: Sequence[Study], out: Path, split: str | None = None) -> Path:
    """Report on studies, as ``write_report``; ``split`` replaces the one that each compares."""
    chosen = {} if split is None else {"split": split}
    comparisons = [
        compare(replace(one, about={**sound(one.about)[0], **chosen}) if chosen else one)
        for one in divide(studies)
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


def page(comparisons: Sequence[Comparison], folder: Path) -> str:
    """Return all studies as one HTML page; links to runs are relative to its ``folder``."""
    from plotly.offline import get_plotlyjs

    sections = [_section(one) for one in comparisons]
    plots = any(section["plots"] for section in sections)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html").render(
        title=sections[0]["name"] if len(sections) == 1 else f"{len(sections)} studies",
        sections=sections,
        href=lambda link: link if link.startswith(WEB) else f"{quote(relative(link, folder))}/",
        draw=_draw,
        plotlyjs=Markup(get_plotlyjs()) if plots else "",
        version=__version__,
    )


def _draw(figure: go.Figure, slug: str) -> Markup:
    config = {"displaylogo": False, "displayModeBar": False}
    html = figure.to_html(config, include_plotlyjs=False, full_html=False, div_id=slug)
    return Markup(html)  # plotly escapes what could end its script


def _section(comparison: Comparison) -> dict[str, Any]:
    """Variables of the template for one study."""
    study, left = comparison.study, unfinished(comparison)
    missing = sum(job.count for job in left)
    plots, undrawn = study_plots(comparison)
    notes, there = [*comparison.notes, *undrawn], done(comparison)
    if left:
        notes.append(f"This study is incomplete: {there} of {there + missing} runs are done.")
    return {
        "name": study.name,
        "slug": re.sub(r"[^a-z0-9]+", "-", study.name.lower()).strip("-") or "study",
        "question": str(study.about.get("question") or ""),
        "source": _source(comparison),
        "notes": notes,
        "caption": f"{label(comparison)}; {comparison.split} split",
        "split": comparison.split,
        "table": main_table(comparison),
        "baseline": f"{comparison.baseline} *",
        "runs": [row.variant.done for row in comparison.rows],
        "plots": plots,
        "pictures": pictures(comparison),
        "details": detail_table(comparison),
        "left": left,
        "missing": missing,
        "commands": commands(left),
        "facts": facts(comparison),
    }


def _source(comparison: Comparison) -> str:
    """The study's source and the paper; empty without both."""
    return ". ".join(filter(None, [comparison.study.about.get("source"), comparison.paper]))


def _print(comparison: Comparison, console: Console) -> None:
    console.print(main_table(comparison).rich())
    left = unfinished(comparison)
    for note in comparison.notes:
        console.print(Text(f"Note: {note}", style="yellow"))
    for (variant, status, error), jobs in groupby(left, lambda j: (j.variant, j.status, j.error)):
        why = f": {error}" if error else ""
        console.print(Text(f"{status}: {variant}{_seeds(list(jobs))}{why}"), soft_wrap=True)
    if left:  # wrapped it could not be copied
        console.print(Text("To finish: " + "\n".join(commands(left))), soft_wrap=True)
    if folders := [job.link for job in left if job.status == "planned" and job.link]:
        hint = f"To discard planned jobs: delete their folders, such as {folders[0]}"
        console.print(Text(hint), soft_wrap=True)


def _markdown(comparison: Comparison, folder: Path) -> str:
    """A section of the Markdown file."""
    about, left = comparison.study.about, unfinished(comparison)
    table = main_table(comparison)
    links = [
        ", ".join(f"[{r.seed}]({quote(relative(r.link, folder), ':/')})" for r in row.variant.done)
        for row in comparison.rows
    ]
    rows = tuple((*row, runs) for row, runs in zip(table.rows, links, strict=True))
    table = replace(table, columns=(*table.columns, "runs"), rows=rows)
    details = detail_table(comparison)
    lines = [f"## {comparison.study.name}", ""]
    lines += [f"{about['question']} ", ""] if about.get("question") else []
    lines += [_source(comparison), ""] if _source(comparison) else []
    lines += [f"> {note}\n" for note in comparison.notes]
    lines += [table.markdown()]
    lines += [details.markdown()] if details else []
    if left:
        lines += ["**To do**", ""]
        lines += [f"- {j.variant}{_seeds([j])}: {j.status} {j.error or ''}" for j in left]
        lines += ["", "```", *commands(left), "```", ""]
    lines += [f"- {name}: {text}" for name, text in facts(comparison).items()]
    return "\n".join(lines) + "\n"


def _seeds(jobs: Sequence[Unfinished]) -> str:
    seeds = [str(job.seed) for job in jobs if job.seed is not None]
    return f", seed {', '.join(seeds)}" if seeds else f" ({sum(job.count for job in jobs)})"
