"""The tables of a report's page; all text from files is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from facegeo.files.tables import Table
from facegeo.studies.comparison import Comparison, Row
from facegeo.studies.facts import Unfinished, commands
from facegeo.studies.runs import StudyRun
from facegeo.studies.study_tables import WEB, decimals, label, relative, seeds, show_p, show_paper


def rows_html(comparison: Comparison, folder: Path) -> str:
    """The rows of a study, each with links to its runs."""
    heads = ("", "mean ± spread", "difference", "p (n)", "paper", "done", "seeds")
    body = "".join(_row(comparison, row, folder) for row in comparison.rows)
    caption = f"{label(comparison)}; {comparison.split} split"
    return _table(caption, heads, body, {6})


def details_html(table: Table | None) -> str:
    """All measures of the rows; nothing if there is no such table."""
    if table is None:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.shown()
    )
    return (
        "<h3>All measures</h3>"
        + _table("Means over the seeds", table.columns, body)
        + small(table.note)
    )


def left_html(comparison: Comparison, left: Sequence[Unfinished], folder: Path) -> str:
    """Jobs without a result, and what finishes them; nothing if there is none."""
    if not left:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(job.variant)}</th><td>{_seed(job)}</td>'
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


def _seed(job: Unfinished) -> str:
    return "-" if job.seed is None else str(job.seed)


def small(text: str) -> str:
    """A paragraph in small print."""
    return f"<p><small>{escape(text)}</small></p>"


def _row(comparison: Comparison, row: Row, folder: Path) -> str:
    places, base = decimals(comparison), row.name == comparison.baseline
    mean, std, apart = row.spread.mean, row.spread.std, row.difference
    shown = "-" if mean is None else f"{mean:,.{places}f}"
    spread = "" if std is None else f" ± {std:.{places + 1}f}"
    tag = '<span class="tag">baseline</span>' if base else ""
    links = ", ".join(_link(run, folder) for run in row.variant.done) or "-"
    cells = [
        f'<th scope="row">{escape(row.name)}{tag}</th>',
        f"<td>{shown}{spread}</td>",
        f"<td>{f'{apart.mean:+.{places + 1}f}' if apart else '-'}</td>",
        f"<td>{escape(show_p(apart)) if apart else '-'}</td>",
        f"<td>{escape(show_paper(row, places) or '-')}</td>",
        f"<td>{seeds(row)}</td>",
        f'<td class="words">{links}</td>',
    ]
    kind = ' class="baseline"' if base else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _link(run: StudyRun, folder: Path) -> str:
    return _to(run.link, str(run.seed), folder)


def _to(link: str, text: str, folder: Path) -> str:
    address = relative(link, folder)
    if not address.startswith(WEB):
        address = f"{quote(address)}/"
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def _table(caption: str, heads: Iterable[str], body: str, words: Iterable[int] = ()) -> str:
    kinds = {i: ' class="words"' for i in words}
    columns = "".join(
        f'<th scope="col"{kinds.get(i, "")}>{escape(head)}</th>' for i, head in enumerate(heads)
    )
    return (
        f'<p class="quiet">{escape(caption)}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<thead><tr>{columns}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )
