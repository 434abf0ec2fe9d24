"""Figures of landmarks: error curves, faces, stages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from torch import Tensor

from facegeo.checks import check_shape
from facegeo.geometry.windows import POINT_NAMES
from facegeo.training.canvas import COLOURS, DASHES, MARKERS, canvas, save_png


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


Image = NDArray[np.uint8]
TILE_PX = 184
GAP_PX = 4
HEADER_PX = 34
LEGEND_PX = 36
MIN_WIDTH_PX = 3 * TILE_PX
DARK = (patheffects.withStroke(linewidth=3, foreground="black"),)
# Cyan rings and yellow crosses: distinct from skin and from each other, also if colour-blind.
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
        found: Points found, same shape and frame, usually the last stage's. Points outside
            the image or not finite are not drawn.
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
    marks = [
        Line2D([], [], linestyle="none", path_effects=DARK, label=label, **style)
        for label, style in (("true point", TRUE), ("point found", FOUND))
    ]
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
    average = len(POINT_NAMES)
    for place, (name, values) in enumerate(errors.items()):
        check_shape(f"errors of {name}", values, "S", len(POINT_NAMES))
        handles.append(_stage(axes, place, name, values.double().cpu()))
        if name in paper:
            label = f"{name}, paper: {paper[name]:.2f}"
            style: dict[str, Any] = {"color": COLOURS[place], "linestyle": (0, (2, 1))}
            span = (average - 0.4, average - 0.1)
            handles += axes.plot(span, (paper[name],) * 2, label=label, linewidth=2.5, **style)
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
