"""Tables of the errors of normals: their columns, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from facegeo.files.tables import Table

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
NORMAL_NOTE = (
    "Angle to the true normal in degrees over face pixels, all images pooled; <x = share of "
    "pixels below x degrees (11: 11.25), in %; image, +- = mean and standard deviation over "
    "images of each image's mean. comp. = batches of 8 images pooled, then averaged, as the "
    "authors' tools do (masks cut at one half); paper = printed for Photoface."
)
REFINEMENT_COLUMNS = {"error": "mean_deg", "moved": "moved_deg", "used": "normals_used_deg"}
REFINEMENT_NOTE = (
    "Mean angles in degrees over face pixels. error = to the truth; moved = to the normals before "
    "this refinement; used = to its output for noise in place of those normals (0: it does not "
    "look at them)."
)
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
    stages = _stages(results, split)
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
    return _table(title, rows, NORMAL_COLUMNS, NORMAL_NOTE, digits={"+-": 1})


def refinement_table(results: Mapping[str, float], part: str, title: str) -> Table:
    """Tabulate what each refinement does: how far it moves the normals, and if it looks at them.

    Args:
        results: Metrics by name, such as ``test/t1/moved_deg``.
        part: First part of the names, such as ``test`` or ``test/mixtures``.
        title: Of the table.

    Raises:
        ValueError: If no t of that part is among the names.
    """
    rows = {t: _ends(results, f"{part}/{t}/") for t in _stages(results, part)}
    return _table(title, rows, REFINEMENT_COLUMNS, REFINEMENT_NOTE)


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
    rows = {"all": _ends(results, f"{part}/{_stages(results, part)[-1]}/")}
    rows |= {person: _ends(results, f"{part}/{person}/") for person in people}
    return _table(title, rows, PERSON_COLUMNS, PERSON_NOTE)


def _table(
    title: str,
    rows: Mapping[str, Mapping[str, float]],
    columns: Mapping[str, str],
    note: str,
    digits: Mapping[str, int] | None = None,
) -> Table:
    """Rows by name, of values by the ends of their keys, in the order of ``columns``."""
    return Table(
        title=title,
        columns=("", *columns),
        rows=tuple((name, *map(row.get, columns.values())) for name, row in rows.items()),
        note=note,
        digits=digits or {},
    )


def _ends(results: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {name[len(prefix) :]: v for name, v in results.items() if name.startswith(prefix)}


def _stages(results: Mapping[str, float], part: str) -> list[str]:
    """Find t0, t1 and so on among the metrics of a part of the data, in order.

    Raises:
        ValueError: If no metric of that part is found.
    """
    found = {re.match(rf"{re.escape(part)}/(t\d+)/mean_deg", name) for name in results}
    stages = sorted((match[1] for match in found if match), key=lambda t: int(t[1:]))
    if not stages:
        raise ValueError(f"no name like {part}/t0/mean_deg among {sorted(results)[:5]}")
    return stages
