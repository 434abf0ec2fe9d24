"""Errors of found points: by point as in CCNN, Figs 4 to 7, and cumulative."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from html import escape
from typing import Any

from facegeo.files.tables import STAGE_COLUMNS
from facegeo.studies.comparison import Comparison, Row
from facegeo.studies.curves import ced_curve
from facegeo.studies.plot import COLOURS, MOST, Plot, Trace, first_of, series

POINTS = {
    column.split()[0]: end
    for column, end in STAGE_COLUMNS.items()
    if end.startswith("error_") and end != "error_pct"
}


def points_plot(comparison: Comparison) -> Plot | None:
    """Error of each point and their average, a bar a row: CCNN, Figs 4 to 7."""
    measured = [row for row in comparison.rows if _points(comparison, row)]
    rows = measured[:MOST]
    if not rows:
        return None
    data = [trace for number, row in enumerate(rows) for trace in _bars(comparison, row, number)]
    paper = "; lines at the right: the paper's averages" if any(row.paper for row in rows) else ""
    return Plot(
        "Error of each point",
        f"Bars: means over the seeds; dots: each seed{paper}.{first_of(measured)}",
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
    for row in comparison.rows[:MOST]:
        curve = ced_curve(row.variant.done, comparison.split, row.entry)
        if curve is not None:
            style = series(len(data), escape(row.name))
            data.append(style | {"x": curve[0], "y": curve[1], "mode": "lines"})
    if not data:
        return None
    return Plot(
        "Cumulative error distribution",
        "Share of faces whose mean error of the five points is at or below a threshold; mean over "
        f"the seeds.{first_of(comparison.rows)}",
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


def _bars(comparison: Comparison, row: Row, number: int) -> list[Trace]:
    """Bars of a row, its seeds as dots over them, and a line for what the paper prints."""
    found, colour = _points(comparison, row), COLOURS[number]
    shared: Trace = {
        "name": escape(row.name),
        "offsetgroup": str(number),
        "legendgroup": str(number),
        "hovertemplate": "%{x}: %{y:.3f} %",
    }
    means = [statistics.fmean(values) for values in found.values()]
    bars = {"type": "bar", "x": list(found), "y": means, "marker": {"color": colour}}
    traces: list[Trace] = [shared | bars | {"opacity": 0.75}]
    dots = [(place, value) for place, values in found.items() for value in values]
    if len(row.values) > 1:
        style = {"size": 6, "color": colour, "line": {"width": 1, "color": "white"}}
        traces.append(shared | _marks(dots, style))
    if row.paper:
        style = {"symbol": "line-ew", "size": 16, "line": {"width": 3, "color": colour}}
        traces.append(shared | _marks([("average", row.paper.value)], style))
    return traces


def _marks(marks: Sequence[tuple[str, float]], style: dict[str, Any]) -> Trace:
    x, y = zip(*marks, strict=True)
    places = {"x": x, "y": y, "mode": "markers", "marker": style}
    return {"type": "scatter", "showlegend": False} | places
