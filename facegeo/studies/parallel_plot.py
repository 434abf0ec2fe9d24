"""Parallel coordinates: settings of a sweep against its error.

Drawn as lines, not as plotly's own kind, which needs WebGL and writes functions at run time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from facegeo.studies.comparison import Comparison, Row
from facegeo.studies.plot import Plot, Trace
from facegeo.studies.study_tables import label
from facegeo.studies.variants import differing, settings, short_names, show

LOW, HIGH = (0, 114, 178), (213, 94, 0)
"""Colours of the best and the worst row, RGB."""


def parallel_plot(comparison: Comparison) -> Plot | None:
    """Parallel coordinates: a line a row over the settings that differ and the error."""
    rows = [row for row in comparison.rows if math.isfinite(_error(row))]
    chosen = [_axes(settings(row.variant.done[0])) for row in rows]
    keys = differing(chosen) if rows else []
    if len(keys) < 2 or len(rows) < 2:
        return None
    columns: dict[str, list[object]] = {
        escape(name): [node.get(key) for node in chosen] for key, name in short_names(keys).items()
    }
    errors = [_error(row) for row in rows]
    columns[escape(comparison.measure)] = list(errors)
    data = _lines(columns, errors, [row.name for row in rows])
    notes = [
        {"x": name, "y": y, "text": text, "showarrow": False, "yshift": 14 if y else -14}
        for name, values in columns.items()
        for y, text in zip((0, 1), _ends(values), strict=True)
    ]
    lines = [
        {"type": "line", "x0": i, "x1": i, "y0": 0, "y1": 1, "line": {"color": "#8A8A8A"}}
        for i in range(len(columns))
    ]
    return Plot(
        "Settings and error",
        f"A line a row, blue the least {escape(label(comparison))}, orange the greatest; the "
        "thick line is the best.",
        data,
        {
            "xaxis": {"type": "category", "showgrid": False, "side": "top"},
            "yaxis": {"visible": False, "range": [-0.15, 1.15]},
            "annotations": notes,
            "shapes": lines,
            "hovermode": "closest",
        },
    )


def _error(row: Row) -> float:
    return math.nan if row.spread.mean is None else row.spread.mean


def _lines(
    columns: Mapping[str, Sequence[object]], errors: Sequence[float], names: Sequence[str]
) -> list[Trace]:
    """A line a row over the columns, coloured by its error, the best on top."""
    scaled = {name: _scaled(values) for name, values in columns.items()}
    least, span = min(errors), (max(errors) - min(errors)) or 1.0
    lines: list[Trace] = []
    for number in sorted(range(len(errors)), key=lambda i: -errors[i]):
        share = (errors[number] - least) / span
        mixed = (round(low + share * (high - low)) for low, high in zip(LOW, HIGH, strict=True))
        best = errors[number] == least
        lines.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": list(columns),
                "y": [values[number] for values in scaled.values()],
                "line": {"color": f"rgb({','.join(map(str, mixed))})", "width": 4 if best else 1.5},
                "marker": {"size": 5},
                "name": escape(names[number]),
                "text": [_text(values[number]) for values in columns.values()],
                "hovertemplate": "%{x}: %{text}",
                "showlegend": False,
            }
        )
    return lines


def _axes(found: Mapping[str, Any]) -> Trace:
    """Settings, lists of numbers taken apart."""
    return {
        (f"{key}.{i}" if isinstance(value, list) else key): one
        for key, value in found.items()
        for i, one in enumerate(value if isinstance(value, list) else [value])
    }


def _scaled(values: Sequence[object]) -> list[float]:
    """Values from 0 (least) to 1 (greatest); names by their order of appearance."""
    if not all(isinstance(value, int | float) for value in values):
        names = list(dict.fromkeys(map(show, values)))
        return [names.index(show(v)) / max(1, len(names) - 1) for v in values]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    least, span = min(numbers), (max(numbers) - min(numbers)) or 1.0
    return [(value - least) / span for value in numbers]


def _ends(values: Sequence[object]) -> tuple[str, str]:
    """What stands below and above an axis."""
    scaled = _scaled(values)
    return _text(values[scaled.index(0.0)]), _text(values[scaled.index(max(scaled))])


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else escape(show(value))
