"""Which plots a study gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from facegeo.studies.cascade_plots import cost_plot, depth_plot
from facegeo.studies.comparison import Comparison
from facegeo.studies.parallel_plot import parallel_plot
from facegeo.studies.plot import Plot
from facegeo.studies.point_plots import ced_plot, points_plot

KINDS: Mapping[str, Callable[[Comparison], Plot | None]] = {
    "points": points_plot,
    "ced": ced_plot,
    "depth": depth_plot,
    "cost": cost_plot,
    "parallel": parallel_plot,
}


def study_plots(comparison: Comparison) -> tuple[list[Plot], list[str]]:
    """Draw what a study asks for, or all that its runs have the numbers for.

    Returns:
        The plots, and a sentence for each that was asked for and can not be drawn.
    """
    asked = comparison.study.about.get("plots")
    plots, missing = [], []
    for name in KINDS if asked is None else asked:
        if name == "panels":  # pictures, not plots
            continue
        plot = KINDS[name](comparison) if name in KINDS else None
        if plot is not None:
            plots.append(plot)
        elif asked is not None:
            why = "no finished run has its numbers" if name in KINDS else "there is no such plot"
            missing.append(f"Plot {name!r}: {why}.")
    return plots, missing
