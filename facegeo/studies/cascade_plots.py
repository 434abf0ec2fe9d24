"""What a longer cascade or a larger network buys: error by stage, error by cost."""

from __future__ import annotations

from html import escape

from facegeo.papers import printed
from facegeo.studies.comparison import Comparison
from facegeo.studies.plot import MOST, Plot, Trace, first_of, series
from facegeo.studies.runs import run_costs
from facegeo.studies.seed_statistics import spread
from facegeo.studies.study_tables import label


def depth_plot(comparison: Comparison) -> Plot | None:
    """Error after each stage of the cascade: Cas-FNE, Table I, lower part."""
    data: list[Trace] = []
    steps: list[str] = []
    for variant in comparison.variants[:MOST]:
        entries = comparison.entries(variant)
        if not entries:
            continue
        found = [spread(list(comparison.by_seed(variant, entry).values())) for entry in entries]
        steps += [entry for entry in entries if entry not in steps]
        style = series(len(data), escape(variant.name))
        bars = {"array": [one.std or 0.0 for one in found], "thickness": 1.5}
        means = [one.mean for one in found]
        data.append(style | {"x": entries, "y": means, "error_y": bars, "mode": "lines+markers"})
    cells = {step: printed(comparison.cells, step, comparison.measure) for step in steps}
    paper = {step: cell.value for step, cell in cells.items() if cell}
    if len(steps) < 2:
        return None
    if paper:
        style = series(MOST - 1, "paper") | {"x": list(paper), "y": list(paper.values())}
        data.append(style | {"mode": "lines+markers"})
    order = sorted(steps, key=lambda step: (len(step), step))
    return Plot(
        "Error after each stage",
        f"Means over the seeds; bars: their standard deviation.{first_of(comparison.variants)}",
        data,
        {
            "xaxis": {"type": "category", "categoryorder": "array", "categoryarray": order},
            "yaxis": {"title": {"text": label(comparison)}},
        },
    )


def cost_plot(comparison: Comparison) -> Plot | None:
    """What a row costs against how well it does."""
    data: list[Trace] = []
    reached: list[int] = []
    for row in comparison.rows:
        cost = run_costs(row.variant.done[0]).get(row.entry) if row.values else None
        if not cost or row.spread.mean is None:
            continue
        reached.append(cost["macs"])
        style = series(len(data), escape(row.name))
        bars = {"array": [row.spread.std or 0.0], "visible": bool(row.spread.std)}
        place = {"x": [cost["macs"]], "y": [row.spread.mean], "error_y": bars, "mode": "markers"}
        more = "%{x:.3s} multiplications<br>%{text}<br>%{y:.3f}"
        parameters = {"text": [f"{cost['parameters']:,} parameters"], "hovertemplate": more}
        data.append(style | place | parameters)
    if not data:
        return None
    far = max(reached) > 20 * min(reached)
    scale = {"type": "log", "dtick": 1} if far else {"rangemode": "tozero"}
    title = {"title": {"text": "multiplications for one face"}, "tickformat": "~s"}
    return Plot(
        "Cost against error",
        "Multiplications with a weight for one face; point at a mark for its parameters. Bars: "
        "standard deviation over the seeds.",
        data,
        {"xaxis": title | scale, "yaxis": {"title": {"text": label(comparison)}}},
    )
