"""Faces with the points a cascade found and where they truly are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from torch import Tensor

from facegeo.checks import check_shape
from facegeo.figures.canvas import canvas, save_png

Image = NDArray[np.uint8]
TILE_PX = 184
GAP_PX = 4
HEADER_PX = 34
LEGEND_PX = 36
MIN_WIDTH_PX = 3 * TILE_PX
DARK = (patheffects.withStroke(linewidth=3, foreground="black"),)
# Cyan rings and yellow crosses: far from skin and from each other to every eye, told apart by form.
TRUE: dict[str, Any] = {"marker": "o", "markersize": 9, "mfc": "none", "mec": "#56F0FF", "mew": 1.5}
FOUND: dict[str, Any] = {"marker": "+", "markersize": 8, "mec": "#FFE800", "mew": 2}


def found_points(
    path: Path,
    images: Sequence[Image],
    target: Tensor,
    found: Tensor,
    header: str,
    columns: int = 6,
) -> Path:
    """Draw a grid of faces, a ring at each true point and a cross at each point found.

    Args:
        path: PNG file to write; its folder is made.
        images: N faces, RGB, each of shape (H, W, 3) of its own size; all are shown equally wide
            and high, small ones enlarged. A cut-out of the face reads better than a whole photo.
        target: True points in pixels of their image, shape (N, 5, 2), pixel centres at integers.
        found: Points found, same shape and frame, usually the last stage's. What lies outside
            the image or is not finite is not drawn.
        header: One line on top: the kind of data ("generated faces") and what found the points.
        columns: Faces in a row.

    Returns:
        ``path``.

    Raises:
        ValueError: If there are no images, one is not RGB bytes, or counts and shapes differ.
    """
    if not images:
        raise ValueError("images must hold at least one face, got none")
    for number, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"image {number} must be uint8 of shape (H, W, 3), "
                f"got {image.dtype} of shape {image.shape}"
            )
    check_shape("target", target, len(images), 5, 2)
    check_shape("found", found, len(images), 5, 2)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    width, height = max(columns * TILE_PX, MIN_WIDTH_PX), rows * TILE_PX + HEADER_PX + LEGEND_PX
    figure = canvas(width, height)
    figure.set_layout_engine("none")  # every tile has its place
    for number, (image, true, guess) in enumerate(zip(images, target, found, strict=True)):
        row, column = divmod(number, columns)
        left, bottom = column * TILE_PX, height - HEADER_PX - (row + 1) * TILE_PX
        side = TILE_PX - GAP_PX
        place = (left / width, bottom / height, side / width, side / height)
        _face(figure.add_axes(place), image, true, guess)
    figure.text(0.5, 1 - HEADER_PX / 2 / height, header, ha="center", va="center", fontsize=12)
    marks = [_mark(TRUE, "true point"), _mark(FOUND, "point found")]
    figure.legend(handles=marks, loc="lower center", ncols=2, facecolor="0.6", borderaxespad=0.3)
    return save_png(figure, path)


def _face(axes: Axes, image: Image, true: Tensor, guess: Tensor) -> None:
    height, width = image.shape[:2]
    axes.set_axis_off()
    axes.imshow(image, interpolation="bicubic")
    for points, style in ((true, TRUE), (guess, FOUND)):
        x, y = points.detach().double().cpu().numpy().T
        axes.plot(x, y, linestyle="none", path_effects=DARK, **style)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _mark(style: dict[str, Any], label: str) -> Line2D:
    return Line2D([], [], linestyle="none", path_effects=DARK, label=label, **style)
