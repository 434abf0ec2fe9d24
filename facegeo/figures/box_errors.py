"""Error of each stage against how wrong the face box is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from facegeo.figures.canvas import COLOURS, DASHES, MARKERS, canvas, save_png

Curves = Mapping[float, Sequence[float]]


def box_error_plot(
    path: Path, by_shift: Curves, by_scale: Curves, names: Sequence[str], title: str
) -> Path:
    """Draw errors against the move of the box and against its scale.

    Args:
        path: PNG file to write; its folder is made.
        by_shift: Errors, % of the given box's width, one for each name, by move in box sides.
        by_scale: The same by scale of the sides.
        names: Of the errors, such as the stages after which they were measured.
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
        for values, name, *style in zip(errors.T, names, COLOURS, DASHES, MARKERS, strict=False):
            look = dict(zip(("color", "linestyle", "marker"), style, strict=True))
            axis.plot(list(curves), values, label=name, linewidth=2, **look)
        axis.set_xlabel(label)
        axis.grid(color="0.85")
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("mean error (% of the given box's width)")
    axes[0].legend(loc="upper left")
    return save_png(figure, path)
