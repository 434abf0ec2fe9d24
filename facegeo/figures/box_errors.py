"""Error of each stage against how wrong the face box is."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegeo.figures.canvas import COLOURS, DASHES, MARKERS, canvas, save_png

Curves = Mapping[float, npt.NDArray[np.float64]]


def box_error_plot(path: Path, by_shift: Curves, by_scale: Curves, title: str) -> Path:
    """Draw the error of each stage against the move of the box and against its scale.

    Args:
        path: PNG file to write; its folder is made.
        by_shift: Errors after each stage, % of the given box's width, (T,), by move in box sides.
        by_scale: The same by scale of the sides.
        title: One line; say what faces these are.

    Returns:
        ``path``.
    """
    figure = canvas(1000, 440)
    figure.suptitle(title)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, curves, label in (
        (axes[0], by_shift, "move of the box (box sides)"),
        (axes[1], by_scale, "side of the box (given sides)"),
    ):
        errors = np.array(list(curves.values()))
        for stage, values in enumerate(errors.T):
            style = {"color": COLOURS[stage], "linestyle": DASHES[stage], "marker": MARKERS[stage]}
            axis.plot(list(curves), values, label=f"stage {stage + 1}", linewidth=2, **style)
        axis.set_xlabel(label)
        axis.grid(color="0.85")
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("mean error (% of the given box's width)")
    axes[0].legend(loc="upper left")
    return save_png(figure, path)
