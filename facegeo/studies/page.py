"""A report as one HTML file that opens anywhere, without the network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from facegeo import __version__
from facegeo.studies.comparison import Comparison
from facegeo.studies.facts import Unfinished, done, facts, unfinished
from facegeo.studies.page_figures import pictures_html, plot_html
from facegeo.studies.page_tables import details_html, left_html, rows_html, small
from facegeo.studies.plots import study_plots
from facegeo.studies.study_tables import DOUBT, definition, detail_table

POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
"""What a browser may load: nothing but what stands in the file."""
HERE = Path(__file__).parent


def page(comparisons: Sequence[Comparison], folder: Path) -> str:
    """Write all studies into one page.

    Args:
        comparisons: In the order to show.
        folder: Where the page will lie; links to runs start there.
    """
    from plotly.offline import get_plotlyjs

    title = comparisons[0].study.name if len(comparisons) == 1 else f"{len(comparisons)} studies"
    sections = "\n".join(_section(one, folder, len(comparisons) > 1) for one in comparisons)
    plots = 'class="plot"' in sections
    scripts = (get_plotlyjs(), (HERE / "page.js").read_text()) if plots else ()
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en-GB">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(title)} - facegeo</title>",
            f"<style>\n{(HERE / 'page.css').read_text()}</style>",
            "</head>",
            "<body>",
            f"<header><h1>{escape(title)}</h1>{_contents(comparisons)}</header>",
            f"<main>\n{sections}\n</main>",
            f"<footer>Written by facegeo {escape(__version__)}.</footer>",
            *(f"<script>{script}</script>" for script in scripts),
            "</body>",
            "</html>",
            "",
        ]
    )


def _contents(comparisons: Sequence[Comparison]) -> str:
    if len(comparisons) == 1:
        return ""
    items = []
    for one in comparisons:
        left = sum(job.count for job in unfinished(one))
        state = f' <span class="tag">incomplete: {left} to do</span>' if left else ""
        name = escape(one.study.name)
        question = escape(str(one.study.about.get("question") or ""))
        items.append(f'<li><a href="#{_slug(one)}">{name}</a> {question}{state}</li>')
    return f'<nav aria-label="Contents"><ul>{"".join(items)}</ul></nav>'


def _section(comparison: Comparison, folder: Path, several: bool) -> str:
    about, left = comparison.study.about, unfinished(comparison)
    plots, missing = study_plots(comparison)
    source = ". ".join(filter(None, [str(about.get("source") or ""), comparison.paper]))
    slug = _slug(comparison)
    parts = [
        f'<section id="{slug}">',
        f"<h2>{escape(comparison.study.name)}</h2>" if several else "",
        _paragraph("question", str(about.get("question") or "")),
        _paragraph("quiet", source),
        _notes([*comparison.notes, *missing, *_incomplete_note(comparison, left)]),
        rows_html(comparison, folder),
        small(f"{definition(comparison)} {DOUBT}"),
        *(plot_html(plot, f"{slug}-{number}") for number, plot in enumerate(plots)),
        pictures_html(comparison),
        details_html(detail_table(comparison)),
        left_html(comparison, left, folder),
        _facts(comparison),
        "</section>",
    ]
    return "\n".join(filter(None, parts))


def _paragraph(kind: str, text: str) -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if text else ""


def _incomplete_note(comparison: Comparison, left: Sequence[Unfinished]) -> list[str]:
    if not left:
        return []
    there, missing = done(comparison), sum(job.count for job in left)
    return [f"This study is incomplete: {there} of {there + missing} runs are done."]


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<div class="notes" role="note"><ul>{items}</ul></div>'


def _facts(comparison: Comparison) -> str:
    items = "".join(f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in facts(comparison).items())
    return f"<h3>Made from</h3><dl>{items}</dl>"


def _slug(comparison: Comparison) -> str:
    return re.sub(r"[^a-z0-9]+", "-", comparison.study.name.lower()).strip("-") or "study"
