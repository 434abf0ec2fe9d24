"""What a longer cascade or a larger network buys: error by stage, error by cost."""

from __future__ import annotations

import statistics
from html import escape

from facegeo.studies.comparison import Comparison
from facegeo.studies.cost import run_costs
from facegeo.studies.paper import printed
from facegeo.studies.plot import COLOURS, Plot, Trace, series
from facegeo.studies.study_tables import label


def depth_plot(comparison: Comparison) -> Plot | None:
    """Error after each stage of the cascade: Cas-FNE, Table I, lower part."""
    data: list[Trace] = []
    steps: list[str] = []
    for variant in comparison.variants:
        entries = comparison.entries(variant)
        values = [list(comparison.by_seed(variant, entry).values()) for entry in entries]
        if not entries:
            continue
        steps += [entry for entry in entries if entry not in steps]
        spreads = [statistics.stdev(v) if len(v) > 1 else 0.0 for v in values]
        style = series(len(data), escape(variant.name))
        means = [statistics.fmean(v) for v in values]
        bars = {"array": spreads, "visible": any(spreads), "thickness": 1.5}
        data.append(style | {"x": entries, "y": means, "error_y": bars, "mode": "lines+markers"})
    cells = {step: printed(comparison.cells, step, comparison.measure) for step in steps}
    paper = {step: cell.value for step, cell in cells.items() if cell}
    if len(steps) < 2:
        return None
    if paper:
        line = {"color": COLOURS[-1], "dash": "dash", "width": 2}
        marker = {"symbol": "line-ew-open", "size": 12}
        data.append({"type": "scatter", "x": list(paper), "y": list(paper.values()),
                     "mode": "lines+markers", "name": "paper", "line": line,
                     "marker": marker})  # fmt: skip
    order = sorted(steps, key=lambda step: (len(step), step))
    return Plot(
        "Error after each stage",
        "Means over the seeds; bars: their standard deviation.",
        data,
        {
            "xaxis": {"type": "category", "categoryorder": "array", "categoryarray": order},
            "yaxis": {"title": {"text": label(comparison)}},
        },
    )


def cost_plot(comparison: Comparison) -> Plot | None:
    """What a row costs against how well it does."""
    data: list[Trace] = []
    for row in comparison.rows:
        cost = run_costs(row.variant.done[0]).get(row.entry) if row.values else None
        if not cost or row.spread.mean is None:
            continue
        style = series(len(data), escape(row.name))
        bars = {"array": [row.spread.std or 0.0], "visible": bool(row.spread.std)}
        data.append(
            style
            | {"x": [cost["macs"]], "y": [row.spread.mean], "error_y": bars, "mode": "markers"}
            | {"text": [f"{cost['parameters']:,} parameters"]}
            | {"hovertemplate": "%{x:.3s} multiplications<br>%{text}<br>%{y:.3f}"}
        )
    if not data:
        return None
    return Plot(
        "Cost against error",
        "Multiplications with a weight for one face; point at a mark for the parameters.",
        data,
        {
            "xaxis": {"title": {"text": "multiplications for one face"}, "type": "log",
                      "exponentformat": "SI", "dtick": "D2"},
            "yaxis": {"title": {"text": label(comparison)}},
        },
    )  # fmt: skip
