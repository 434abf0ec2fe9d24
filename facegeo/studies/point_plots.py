"""Errors of found points: by point as in CCNN, Figs 4 to 7, and cumulative."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from html import escape
from typing import Any

from facegeo.studies.comparison import Comparison, Row
from facegeo.studies.curves import ced_curve
from facegeo.studies.plot import COLOURS, Plot, Trace, series
from facegeo.tables import STAGE_COLUMNS

POINTS = {
    column.split()[0]: end
    for column, end in STAGE_COLUMNS.items()
    if end.startswith("error_") and end != "error_pct"
}
MOST_BARS = 8
"""Rows whose bars can still be told apart."""


def points_plot(comparison: Comparison) -> Plot | None:
    """Error of each point and their average, a bar a row: CCNN, Figs 4 to 7."""
    rows = [row for row in comparison.rows if _points(comparison, row)][:MOST_BARS]
    if not rows:
        return None
    data: list[Trace] = []
    places = [*POINTS, "average"]
    for number, row in enumerate(rows):
        found = _points(comparison, row)
        group = {"offsetgroup": str(number), "legendgroup": str(number)}
        name, colour = escape(row.name), COLOURS[number % len(COLOURS)]
        means = [statistics.fmean(found[place]) for place in places]
        data.append(
            {"type": "bar", "x": places, "y": means, "name": name, "marker": {"color": colour},
             "hovertemplate": "%{x}: %{y:.3f} %", "opacity": 0.75} | group
        )  # fmt: skip
        dots = [(place, value) for place in places for value in found[place]]
        if len(row.values) > 1:
            data.append(_marks(dots, "circle", colour, f"{name}, seeds") | group)
        if row.paper:
            data.append(
                _marks([("average", row.paper.value)], "line-ew", colour, f"{name}, paper")
                | group
                | {"showlegend": False}
            )
    return Plot(
        "Error of each point",
        "Bars: means over the seeds; dots: each seed"
        + ("; lines at the right: the paper's averages." if any(r.paper for r in rows) else "."),
        data,
        {
            "barmode": "group",
            "scattermode": "group",
            "xaxis": {"type": "category"},
            "yaxis": {"title": {"text": "error (% of face box width)"}, "rangemode": "tozero"},
        },
    )


def ced_plot(comparison: Comparison) -> Plot | None:
    """Cumulative error distributions, mean over the seeds."""
    data: list[Trace] = []
    for row in comparison.rows:
        curve = ced_curve(row.variant.done, comparison.split, row.entry)
        if curve is not None:
            style = series(len(data), escape(row.name))
            data.append(style | {"x": curve[0], "y": curve[1], "mode": "lines"})
    if not data:
        return None
    return Plot(
        "Cumulative error distribution",
        "Share of faces whose mean error of the five points is at or below a threshold; mean "
        "over the seeds. One image's errors count once.",
        data,
        {
            "xaxis": {"title": {"text": "mean error (% of face box width)"}, "range": [0, 10]},
            "yaxis": {"title": {"text": "faces (%)"}, "range": [0, 100]},
        },
    )


def _points(comparison: Comparison, row: Row) -> dict[str, list[float]]:
    """Errors of each point and their average, a value a seed; empty if one is missing."""
    ends = POINTS | {"average": "error_pct"}
    found = {
        place: list(comparison.by_seed(row.variant, row.entry, end).values())
        for place, end in ends.items()
    }
    return found if all(found.values()) else {}


def _marks(marks: Sequence[tuple[str, float]], symbol: str, colour: str, name: str) -> Trace:
    wide = symbol == "line-ew"
    marker: dict[str, Any] = {"symbol": symbol, "color": colour, "size": 16 if wide else 6}
    marker["line"] = {"width": 3, "color": colour} if wide else {"width": 1, "color": "white"}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [place for place, _ in marks],
        "y": [value for _, value in marks],
        "marker": marker,
        "name": name,
        "showlegend": False,
        "hovertemplate": "%{x}: %{y:.3f} %",
    }
