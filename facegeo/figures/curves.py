"""Cumulative error distributions: how many faces are found how well."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from facegeo.checks import check_shape
from facegeo.figures.canvas import COLOURS, DASHES, canvas, save_png


def ced_plot(path: Path, curves: Mapping[str, tuple[Tensor, Tensor]], title: str) -> Path:
    """Draw the share of faces whose mean error is at or below a threshold.

    Args:
        path: PNG file to write; its folder is made.
        curves: By name, in the order of the legend: thresholds in % of the box width and shares
            in [0, 1], both (T,), as ``LandmarkErrors.ced_curve`` returns them. Seven at most.
        title: One line; say what data it is.

    Returns:
        ``path``.

    Raises:
        ValueError: If there is no curve, more than seven, or the two parts of one differ in length.
    """
    if not 1 <= len(curves) <= len(COLOURS):
        raise ValueError(f"curves must be 1 to {len(COLOURS)}, got {len(curves)}: {list(curves)}")
    figure = canvas(720, 520)
    axes = figure.add_subplot()
    for (name, (thresholds, shares)), colour, dash in zip(
        curves.items(), COLOURS, DASHES, strict=False
    ):
        sizes: dict[str, int] = {}
        check_shape(f"thresholds of {name}", thresholds, "T", sizes=sizes)
        check_shape(f"shares of {name}", shares, "T", sizes=sizes)
        x, y = thresholds.cpu().numpy(), shares.cpu().numpy()
        axes.plot(x, 100 * y, label=name, color=colour, linestyle=dash, linewidth=2)
    axes.set(xlim=(0, 10), ylim=(0, 100), title=title)
    axes.set_xlabel("mean error of the five points (% of face box width)")
    axes.set_ylabel("share of faces at or below (%)")
    axes.set_xticks(range(11))
    axes.set_yticks(range(0, 101, 10))
    axes.grid(color="0.85")
    axes.legend(loc="lower right", frameon=True)
    return save_png(figure, path)
