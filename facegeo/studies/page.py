"""A report as one HTML file that opens anywhere, without the network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from facegeo import __version__
from facegeo.studies.comparison import Comparison, Row
from facegeo.studies.facts import Unfinished, commands, facts, unfinished
from facegeo.studies.pictures import pictures
from facegeo.studies.plot import Plot
from facegeo.studies.plots import study_plots
from facegeo.studies.runs import StudyRun
from facegeo.studies.study_tables import (
    DOUBT,
    decimals,
    definition,
    detail_table,
    label,
    relative,
    show_p,
    show_paper,
)
from facegeo.tables import Table

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
    sections = "\n".join(_section(comparison, folder) for comparison in comparisons)
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
        left = len(unfinished(one))
        state = f' <span class="tag">incomplete: {left} to do</span>' if left else ""
        name = escape(one.study.name)
        question = escape(str(one.study.about.get("question") or ""))
        items.append(f'<li><a href="#{_slug(one)}">{name}</a> {question}{state}</li>')
    return f'<nav aria-label="Contents"><ul>{"".join(items)}</ul></nav>'


def _section(comparison: Comparison, folder: Path) -> str:
    about, left = comparison.study.about, unfinished(comparison)
    plots, missing = study_plots(comparison)
    source = ". ".join(filter(None, [str(about.get("source") or ""), comparison.paper]))
    slug = _slug(comparison)
    parts = [
        f'<section id="{slug}">',
        f"<h2>{escape(comparison.study.name)}</h2>",
        f'<p class="question">{escape(str(about["question"]))}</p>'
        if about.get("question")
        else "",
        f'<p class="quiet">{escape(source)}</p>' if source else "",
        _notes([*comparison.notes, *missing, *_incomplete_note(comparison, left)]),
        _main(comparison, folder),
        f"<p><small>{escape(definition(comparison))} {escape(DOUBT)}</small></p>",
        *(_figure(plot, f"{slug}-{number}") for number, plot in enumerate(plots)),
        _panels(comparison),
        _details(detail_table(comparison)),
        _left(comparison, left, folder),
        _facts(comparison),
        "</section>",
    ]
    return "\n".join(filter(None, parts))


def _incomplete_note(comparison: Comparison, left: Sequence[Unfinished]) -> list[str]:
    done = sum(run.status == "done" for run in comparison.study.runs)
    if not left:
        return []
    return [f"This study is incomplete: {done} of {done + len(left)} runs are done."]


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<div class="notes" role="note"><ul>{items}</ul></div>'


def _main(comparison: Comparison, folder: Path) -> str:
    heads = ("", "seeds", "done", "mean ± spread", "difference", "p (n)", "paper")
    body = "".join(_row(comparison, row, folder) for row in comparison.rows)
    caption = f"{label(comparison)}; {comparison.split} split"
    return _table(caption, heads, body, {1})


def _row(comparison: Comparison, row: Row, folder: Path) -> str:
    places, base = decimals(comparison), row.name == comparison.baseline
    mean, std, apart = row.spread.mean, row.spread.std, row.difference
    shown = "-" if mean is None else f"{mean:,.{places}f}"
    spread = "" if std is None else f" ± {std:.{places + 1}f}"
    tag = '<span class="tag">baseline</span>' if base else ""
    links = ", ".join(_link(run, folder) for run in row.variant.done) or "-"
    cells = [
        f'<th scope="row">{escape(row.name)}{tag}</th>',
        f'<td class="words">{links}</td>',
        f"<td>{len(row.values)} of {row.variant.planned}</td>",
        f"<td>{shown}{spread}</td>",
        f"<td>{f'{apart.mean:+.{places + 1}f}' if apart else '-'}</td>",
        f"<td>{escape(show_p(apart)) if apart else '-'}</td>",
        f"<td>{escape(show_paper(row, places) or '-')}</td>",
    ]
    kind = ' class="baseline"' if base else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _link(run: StudyRun, folder: Path) -> str:
    return _to(run.link, str(run.seed), folder)


def _to(link: str, text: str, folder: Path) -> str:
    address = relative(link, folder)
    if not address.startswith("https://"):
        address = f"{quote(address)}/"
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def _table(caption: str, heads: Iterable[str], body: str, words: Iterable[int] = ()) -> str:
    kinds = {i: ' class="words"' for i in words}
    columns = "".join(
        f'<th scope="col"{kinds.get(i, "")}>{escape(head)}</th>' for i, head in enumerate(heads)
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _figure(plot: Plot, slug: str) -> str:
    values = json.dumps({"data": plot.data, "layout": plot.layout | {"height": plot.height}})
    values = values.replace("<", r"\u003c")  # what ends a script can not stand in it
    return (
        f"<figure><figcaption><b>{escape(plot.title)}</b><small>{escape(plot.caption)}</small>"
        f'</figcaption><div class="plot" id="{slug}" role="img" aria-label="{escape(plot.title)}" '
        f'style="min-height:{plot.height}px"></div>'
        f'<script type="application/json">{values}</script></figure>'
    )


def _panels(comparison: Comparison) -> str:
    figures = [
        f"<figure><figcaption><b>{escape(one.name)}</b><small>seed {one.seed}</small></figcaption>"
        f'<div class="panel" tabindex="0"><img src="{one.uri}" width="{one.width}" '
        f'height="{one.height}" alt="Faces of the {escape(comparison.split)} split and what '
        f'{escape(one.name)} finds in them"></div></figure>'
        for one in pictures(comparison)
    ]
    return f"<h3>Pictures</h3>{''.join(figures)}" if figures else ""


def _details(table: Table | None) -> str:
    if table is None:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.shown()
    )
    return "<h3>All measures</h3>" + _table("Means over the seeds", table.columns, body)


def _left(comparison: Comparison, left: Sequence[Unfinished], folder: Path) -> str:
    if not left:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(job.variant)}</th><td>{job.seed}</td>'
        f'<td class="words">{_to(job.link, job.status, folder) if job.link else job.status}</td>'
        f'<td class="words wrap">{escape(job.error or "")}</td></tr>'
        for job in left
    )
    heads = ("variant", "seed", "state", "error")
    lines = escape("\n".join(commands(comparison, left)))
    return (
        "<h3>To do</h3>"
        + _table("Jobs without a result; a run that was killed stands as running", heads, body,
                 {2, 3})
        + f"<p>This finishes the study:</p><pre><code>{lines}</code></pre>"
    )  # fmt: skip


def _facts(comparison: Comparison) -> str:
    items = "".join(f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in facts(comparison).items())
    return f"<h3>Made from</h3><dl>{items}</dl>"


def _slug(comparison: Comparison) -> str:
    return re.sub(r"[^a-z0-9]+", "-", comparison.study.name.lower()).strip("-") or "study"
