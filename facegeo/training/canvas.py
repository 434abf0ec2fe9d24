"""Matplotlib figures: size in pixels, colours, PNG files."""

from pathlib import Path
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI: Final = 100
# Okabe and Ito's palette, distinguishable with all common kinds of colour vision; markers and
# dashes repeat the distinction. Blue, red and green come first, as in the figures of the paper.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
DASHES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))


def canvas(width_px: int, height_px: int) -> Figure:
    """Return an empty white figure of that size, which pyplot does not manage."""
    size = ((width_px + 1e-3) / DPI, (height_px + 1e-3) / DPI)  # older Matplotlibs round down
    figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG, making its folder; the same figure gives the same bytes.

    Returns:
        ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
    return path
