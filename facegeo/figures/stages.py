"""Error of each point at each stage: CCNN, Fig. 4, redrawn with our numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from torch import Tensor

from facegeo.checks import check_shape
from facegeo.figures.canvas import COLOURS, MARKERS, canvas, save_png
from facegeo.geometry.points import POINT_NAMES


def stage_plot(
    path: Path,
    errors: Mapping[str, Tensor],
    title: str,
    paper: Mapping[str, float] | None = None,
) -> Path:
    """Draw a line a stage over the five points, and the mean of the points at the right.

    Args:
        path: PNG file to write; its folder is made.
        errors: By name of the stage: errors in % of the box width, shape (S, 5), one row a seed,
            points in the order of ``POINT_NAMES``. More than one seed: the line is their mean,
            bars run from the least to the greatest. Seven stages at most.
        title: One line; say what data it is.
        paper: The paper's averages in %, by the same names: dashed marks beside ours.

    Returns:
        ``path``.

    Raises:
        ValueError: If there is no stage, more than seven, a shape is wrong, or ``paper`` names a
            stage that ``errors`` has not.
    """
    if not 1 <= len(errors) <= len(COLOURS):
        raise ValueError(f"errors must have 1 to {len(COLOURS)} stages, got {list(errors)}")
    paper = paper or {}
    if unknown := set(paper) - set(errors):
        raise ValueError(f"paper must name stages among {list(errors)}, got {sorted(unknown)}")
    figure = canvas(760, 540)
    axes = figure.add_subplot()
    handles: list[Artist] = []
    for place, (name, values) in enumerate(errors.items()):
        check_shape(f"errors of {name}", values, "S", len(POINT_NAMES))
        handles.append(_stage(axes, place, name, values.double().cpu()))
        if name in paper:
            handles.append(_paper_mark(axes, place, name, paper[name]))
    average = len(POINT_NAMES)
    axes.axvspan(average - 0.5, average + 0.5, color="0.95", zorder=0)
    axes.set_xticks(range(average + 1), [*POINT_NAMES, "average"])
    axes.set_xlim(-0.4, average + 0.5)
    axes.set_ylim(bottom=0)
    axes.set(title=title, ylabel="error (% of face box width)")
    axes.grid(axis="y", color="0.85")
    columns = min(len(errors), 4)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    return save_png(figure, path)


def _stage(axes: Axes, place: int, name: str, seeds: Tensor) -> Artist:
    colour, average = COLOURS[place], len(POINT_NAMES)
    values = torch.cat([seeds, seeds.mean(dim=1, keepdim=True)], dim=1)
    mean = values.mean(dim=0)
    below, above = mean - values.amin(dim=0), values.amax(dim=0) - mean
    bars = torch.stack([below, above]).numpy() if len(values) > 1 else None
    style: dict[str, Any] = {"color": colour, "marker": MARKERS[place], "markersize": 7}
    axes.errorbar(range(average + 1), mean.numpy(), yerr=bars, fmt="none", capsize=4, ecolor=colour)
    (line,) = axes.plot(range(average + 1), mean.numpy(), linewidth=2, label=name, **style)
    shown, spot = f"{mean[average]:.2f}", (average, mean[average].item())
    axes.annotate(shown, spot, (9, -4), textcoords="offset points", color=colour)
    return line


def _paper_mark(axes: Axes, place: int, name: str, average: float) -> Artist:
    span, label = (len(POINT_NAMES) - 0.4, len(POINT_NAMES) - 0.1), f"{name}, paper: {average:.2f}"
    style: dict[str, Any] = {"color": COLOURS[place], "linestyle": (0, (2, 1)), "linewidth": 2.5}
    return axes.plot(span, (average, average), label=label, **style)[0]
