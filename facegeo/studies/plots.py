"""Plots of a study as plotly figures, and the pictures of its runs."""

from __future__ import annotations

import base64
import io
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import plotly.graph_objects as go

from facegeo.landmarks.tables import STAGE_COLUMNS
from facegeo.papers import printed
from facegeo.studies.comparison import Comparison, Row, spread
from facegeo.studies.runs import StudyRun, run_costs
from facegeo.studies.tables import label
from facegeo.studies.variants import Variant, differing, settings, short_names, show

# Okabe and Ito's palette without black, which a dark page would hide.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A8A")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px 2px")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star")
MOST = len(COLOURS)
"""Rows in one figure: more could not be distinguished."""
HEIGHT_PX, LEGEND_ROW_PX = 380, 20
ONE_LINE = 45
"""Characters that a legend of one line may have on a narrow page."""
TEMPLATE = go.layout.Template(
    layout={  # colours of text and lines are those of the page: page.css
        "font": {"size": 12, "family": "system-ui, sans-serif"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 44, "r": 12, "t": 12, "b": 40},
        "xaxis": {"automargin": True},
        "yaxis": {"automargin": True},
        "legend": {"yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
    }
)
POINTS = {
    column.split()[0]: end
    for column, end in STAGE_COLUMNS.items()
    if end.startswith("error_") and end != "error_pct"
}
THRESHOLDS = np.linspace(0.0, 10.0, 101)
"""Of cumulative error distributions, in % of the box width."""
MAX_WIDTH_PX, JPEG_QUALITY = 1200, 82


@dataclass(frozen=True)
class Plot:
    """One figure, a line above it, and how to read it."""

    title: str
    caption: str
    figure: go.Figure


@dataclass(frozen=True)
class Picture:
    """Panels of a run of the variant ``name``, as the data URI of a JPEG; sizes in px."""

    name: str
    seed: int | None
    uri: str
    width: int
    height: int


def study_plots(comparison: Comparison) -> tuple[list[Plot], list[str]]:
    """Draw the plots that a study asks for, or all that its runs have the numbers for.

    Returns:
        The plots, and a sentence for each that was asked for and cannot be drawn.
    """
    asked = comparison.study.about.get("plots")
    plots, missing = [], []
    for name in KINDS if asked is None else asked:
        if name == "panels":  # pictures, not plots
            continue
        draw, needs = KINDS.get(name, (None, ""))
        plot = draw(comparison) if draw else None
        if plot is not None:
            plots.append(plot)
        elif asked is not None:
            why = f"it needs {needs}" if draw else f"there are {', '.join(KINDS)} and panels"
            missing.append(f"Plot {name!r} cannot be drawn: {why}.")
    return plots, missing


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
        "LE, RE: left and right eye as seen in the image; N: nose tip; LM, RM: left and right "
        "mouth corner. "
        f"Bars: means over the seeds; dots: each seed{paper}.{_first_of(measured)}",
        _figure(
            data,
            barmode="group",
            scattermode="group",
            xaxis={"type": "category"},
            yaxis={"title": {"text": "error (% of face box width)"}, "rangemode": "tozero"},
        ),
    )


def _points(comparison: Comparison, row: Row) -> dict[str, list[float]]:
    """Errors of each point and their average, a value a seed; empty if one is missing."""
    ends = POINTS | {"average": "error_pct"}
    found = {
        place: list(comparison.by_seed(row.variant, row.entry, end).values())
        for place, end in ends.items()
    }
    return found if all(found.values()) else {}


def _bars(comparison: Comparison, row: Row, number: int) -> list[go.Bar | go.Scatter]:
    """Bars of a row, its seeds as dots over them, and a line for the paper's number."""
    found, colour = _points(comparison, row), COLOURS[number]
    shared = {
        "name": escape(row.name),
        "offsetgroup": str(number),
        "legendgroup": str(number),
        "hovertemplate": "%{x}: %{y:.3f} %",
    }
    means = [statistics.fmean(values) for values in found.values()]
    bars = go.Bar(x=list(found), y=means, marker={"color": colour}, opacity=0.75, **shared)
    traces: list[go.Bar | go.Scatter] = [bars]
    dots = shared | {"mode": "markers", "showlegend": False}
    if len(row.values) > 1:
        x, y = zip(*((p, value) for p, values in found.items() for value in values), strict=True)
        style = {"size": 6, "color": colour, "line": {"width": 1, "color": "white"}}
        traces.append(go.Scatter(x=x, y=y, marker=style, **dots))
    if row.paper:
        style = {"symbol": "line-ew", "size": 16, "line": {"width": 3, "color": colour}}
        traces.append(go.Scatter(x=["average"], y=[row.paper.value], marker=style, **dots))
    return traces


def ced_plot(comparison: Comparison) -> Plot | None:
    """Cumulative error distributions, mean over the seeds."""
    data: list[go.Scatter] = []
    for row in comparison.rows[:MOST]:
        kept = (_errors(run, comparison.split, row.entry) for run in row.variant.done)
        shares = [(errors[:, None] <= THRESHOLDS).mean(axis=0) for errors in kept if len(errors)]
        if shares:
            style = _series(len(data), row.name) | {"mode": "lines"}
            y = (100 * np.mean(shares, axis=0)).round(3).tolist()
            data.append(go.Scatter(x=THRESHOLDS.round(3).tolist(), y=y, **style))
    if not data:
        return None
    return Plot(
        "Cumulative error distribution",
        "Share of faces whose mean error of the five points is at or below a threshold; mean over "
        f"the seeds.{_first_of(comparison.rows)}",
        _figure(
            data,
            xaxis={"title": {"text": "mean error (% of face box width)"}, "range": [0, 10]},
            yaxis={"title": {"text": "faces (%)"}, "range": [0, 100]},
        ),
    )


def _errors(run: StudyRun, split: str, entry: str) -> np.ndarray:
    """Mean error of the five points of each image, % of the box width, (N,); N = 0 if not kept."""
    file = run.file(split, "errors.npz")
    try:
        content = b"" if file is None else file.read_bytes()
        with np.load(io.BytesIO(content)) as kept:  # given a path, it leaves a torn file open
            return np.asarray(kept[entry], dtype=np.float64)
    except (OSError, KeyError, ValueError, EOFError, BadZipFile):
        return np.empty(0)


def depth_plot(comparison: Comparison) -> Plot | None:
    """Error after each stage of the cascade: Cas-FNE, Table I, lower part."""
    data: list[go.Scatter] = []
    steps: list[str] = []
    for variant in comparison.variants[:MOST]:
        entries = comparison.entries(variant)
        if not entries:
            continue
        found = [spread(list(comparison.by_seed(variant, entry).values())) for entry in entries]
        steps += [entry for entry in entries if entry not in steps]
        bars = {"array": [one.std or 0.0 for one in found], "thickness": 1.5}
        style = _series(len(data), variant.name) | {"error_y": bars, "mode": "lines+markers"}
        data.append(go.Scatter(x=entries, y=[one.mean for one in found], **style))
    if len(steps) < 2:
        return None
    cells = {step: printed(comparison.cells, step, comparison.measure) for step in steps}
    if paper := {step: cell.value for step, cell in cells.items() if cell}:
        style = _series(MOST - 1, "paper") | {"mode": "lines+markers"}
        data.append(go.Scatter(x=list(paper), y=list(paper.values()), **style))
    order = sorted(steps, key=lambda step: (len(step), step))
    return Plot(
        "Error after each stage",
        f"Means over the seeds; bars: their standard deviation.{_first_of(comparison.variants)}",
        _figure(
            data,
            xaxis={"type": "category", "categoryorder": "array", "categoryarray": order},
            yaxis={"title": {"text": label(comparison)}},
        ),
    )


def cost_plot(comparison: Comparison) -> Plot | None:
    """Multiplications of a row against its error."""
    data: list[go.Scatter] = []
    reached: list[int] = []
    for row in comparison.rows:
        cost = run_costs(row.variant.done[0]).get(row.entry) if row.values else None
        if not cost or row.spread.mean is None:
            continue
        reached.append(cost["macs"])
        style = _series(len(data), row.name) | {
            "mode": "markers",
            "error_y": {"array": [row.spread.std or 0.0], "visible": bool(row.spread.std)},
            "text": [f"{cost['parameters']:,} parameters"],
            "hovertemplate": "%{x:.3s} multiplications<br>%{text}<br>%{y:.3f}",
        }
        data.append(go.Scatter(x=[cost["macs"]], y=[row.spread.mean], **style))
    if not data:
        return None
    far = max(reached) > 20 * min(reached)
    scale = {"type": "log", "dtick": 1} if far else {"rangemode": "tozero"}
    title = {"title": {"text": "multiplications for one face"}, "tickformat": "~s"}
    return Plot(
        "Cost against error",
        "Multiplications with a weight for one face; point at a mark for its parameters. Bars: "
        "standard deviation over the seeds.",
        _figure(data, xaxis=title | scale, yaxis={"title": {"text": label(comparison)}}),
    )


def parallel_plot(comparison: Comparison) -> Plot | None:
    """Parallel coordinates: a line a row over the settings that differ and the error."""
    errors = {row.name: row.spread.mean for row in comparison.rows if row.spread.mean is not None}
    rows = [row for row in comparison.rows if math.isfinite(errors.get(row.name, math.nan))]
    chosen = [
        {  # one entry for each number of a list
            (f"{key}.{i}" if isinstance(value, list) else key): one
            for key, value in settings(row.variant.done[0]).items()
            for i, one in enumerate(value if isinstance(value, list) else [value])
        }
        for row in rows
    ]
    keys = differing(chosen) if rows else []
    if len(keys) < 2 or len(rows) < 2:
        return None
    means = [errors[row.name] for row in rows]
    axes = [
        _axis(name, [node.get(key) for node in chosen]) for key, name in short_names(keys).items()
    ]
    line = {"color": means, "colorscale": [[0, COLOURS[0]], [1, COLOURS[1]]]}
    figure = go.Figure(
        go.Parcoords(line=line, dimensions=[*axes, {"label": comparison.measure, "values": means}]),
        layout={"template": TEMPLATE, "height": HEIGHT_PX},
    )
    figure.update_layout(margin={"l": 48, "r": 48, "t": 60, "b": 24})
    return Plot(
        "Settings and error",
        f"One line a row, from blue (the least {label(comparison)}) to orange (the greatest). "
        "Drag along an axis to select rows.",
        figure,
    )


def _axis(name: str, values: Sequence[object]) -> dict[str, Any]:
    """One axis of parallel coordinates; values that are not numbers in order of appearance."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        ticks = sorted(set(values))  # type: ignore[type-var]
        texts = [f"{tick:.4g}" for tick in ticks]
        return {"label": name, "values": values, "tickvals": ticks, "ticktext": texts}
    shown = list(map(show, values))
    names = list(dict.fromkeys(shown))
    places = list(map(names.index, shown))
    ticks = list(range(len(names)))
    return {"label": name, "values": places, "tickvals": ticks, "ticktext": names}


KINDS: Mapping[str, tuple[Callable[[Comparison], Plot | None], str]] = {
    "points": (points_plot, "a finished run that measured the error of each point"),
    "ced": (ced_plot, "a finished run that kept the error of each image"),
    "depth": (depth_plot, "finished runs of two stages or more"),
    "cost": (cost_plot, "a finished run with its cost or its model"),
    "parallel": (parallel_plot, "two finished rows that differ in two settings or more"),
}
"""Plots by the name that ``about.plots`` gives them, and the reason why one cannot be drawn."""


def pictures(comparison: Comparison) -> list[Picture]:
    """Panels of one finished run a variant, of the first few, unless the study asks for none."""
    asked = comparison.study.about.get("plots")
    if asked is not None and "panels" not in asked:
        return []
    found = (_first_picture(one, comparison.split) for one in comparison.variants[:MOST])
    return [picture for picture in found if picture]


def _first_picture(variant: Variant, split: str) -> Picture | None:
    for run in variant.done:
        for file in (run.file(split, "panels.png"), run.file(split, "points.png")):
            image = cv2.imread(str(file)) if file is not None and file.is_file() else None
            if image is None:
                continue
            height, width = image.shape[:2]
            if width > MAX_WIDTH_PX:
                height, width = round(height * MAX_WIDTH_PX / width), MAX_WIDTH_PX
                image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            uri = f"data:image/jpeg;base64,{base64.b64encode(code.tobytes()).decode()}"
            return Picture(variant.name, run.seed, uri, width, height)
    return None


def _series(number: int, name: str) -> dict[str, Any]:
    """Name, colour, dash and symbol of a scatter trace."""
    colour = COLOURS[number % MOST]
    return {
        "name": escape(name),
        "line": {"color": colour, "dash": DASHES[number % MOST], "width": 2},
        "marker": {"symbol": SYMBOLS[number % MOST], "size": 9, "color": colour},
    }


def _figure(data: Sequence[go.Bar | go.Scatter], **layout: Any) -> go.Figure:
    """A figure with its legend below the axes, which keep their height."""
    names = [trace.name for trace in data if trace.showlegend is not False]
    one_line = sum(len(name) + 6 for name in names) <= ONE_LINE
    height = HEIGHT_PX + LEGEND_ROW_PX * (1 if one_line else len(names))
    legend = {"orientation": "h" if one_line else "v"}
    style = {"template": TEMPLATE, "height": height, "legend": legend, "showlegend": len(names) > 1}
    return go.Figure(list(data), layout=style | layout)


def _first_of(rows: Sequence[object]) -> str:
    """A sentence if not all rows are drawn."""
    return f" The first {MOST} of {len(rows)} rows." if len(rows) > MOST else ""
