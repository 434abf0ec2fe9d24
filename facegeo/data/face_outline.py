"""Where the face is in a raw photograph: the square to cut out, and the mask in it.

The crop rule of the preprocessed Photoface, after Abrevaya et al. (2020): a square of 1.2 times
the longer side of the bounding box of the 68 points; the mask is their convex hull.
"""

import re
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from facegeo.data.faults import WantedError

Points = npt.NDArray[np.float64]
MARGIN = 1.2
POINTS = 68
METADATA_POINTS = 11
LEFT_EYE, RIGHT_EYE, CHIN = (0, 1), (3, 4), 10
BOX_WIDTHS, BROWS = 1.66, 0.27
"""Width of the box of the 68 points in distances between the eyes' outer corners, and how far it
reaches above the eyes in distances from eyes to chin: means over 200 heads of ICT-FaceKit, whose
standard deviations are 0.08 and 0.02."""


def read_outline(path: Path) -> Points:
    """Read 68 points, x and y in pixels from the first pixel's centre.

    Args:
        path: ``.npy`` of shape (68, 2), ``.pts``, or text with x and y of a point a line, behind
            a header line if there is one.

    Returns:
        The points, shape (68, 2).

    Raises:
        WantedError: If there is no such file or it holds something else.
    """
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            text = path.read_text(encoding="utf-8-sig")
            body = re.search(r"\{([^}]*)\}", text) if path.suffix == ".pts" else None
            values = _numbers(body[1] if body else text)
    except (OSError, ValueError, EOFError) as error:
        got = getattr(error, "strerror", None) or str(error)
        raise WantedError(f"a file of {POINTS} points", got) from error
    return _points(values, POINTS)


def metadata_outline(text: str) -> Points:
    """Guess the outline from the 11 points of Photoface's ``metadata.txt``.

    The box of the 68 points is laid around eyes and chin by the proportions of ``BOX_WIDTHS`` and
    ``BROWS``; the outline is the ellipse in it.

    Args:
        text: x and y of outer and inner corner of the left eye, forehead, inner and outer corner
            of the right eye, left of the nose, its tip, its right, left and right corner of the
            mouth, chin.

    Returns:
        Points on the ellipse, (64, 2).

    Raises:
        WantedError: If there are not 11 points, or the chin is not below the eyes.
    """
    points = _points(_numbers(text), METADATA_POINTS)
    outer = points[[LEFT_EYE[0], RIGHT_EYE[1]]]
    eyes, chin = points[[*LEFT_EYE, *RIGHT_EYE], 1].mean(), points[CHIN, 1]
    width = BOX_WIDTHS * np.linalg.norm(outer[1] - outer[0])
    if not (chin > eyes and width > 0):
        raise WantedError("a chin below two eyes", f"eyes at y = {eyes:g}, chin at y = {chin:g}")
    top = eyes - BROWS * (chin - eyes)
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x = outer[:, 0].mean() + width / 2 * np.cos(angle)
    return np.stack([x, (top + chin) / 2 + (chin - top) / 2 * np.sin(angle)], axis=1)


def crop_square(outline: Points, height: int, width: int) -> tuple[int, int, int]:
    """Lay the square around an outline.

    It is moved into the image where it sticks out, and made no larger than the image; points that
    are all alike get a pixel.

    Args:
        outline: Points, px, (K, 2).
        height: Of the image, px.
        width: Of the image, px.

    Returns:
        Left column, top row and side, px.
    """
    low, high = outline.min(axis=0), outline.max(axis=0)
    side = max(1, min(round(MARGIN * float((high - low).max())), height, width))
    start = np.rint((low + high - (side - 1)) / 2).astype(int)
    left, top = np.clip(start, 0, [width - side, height - side]).tolist()
    return left, top, side


def outline_mask(outline: Points, left: int, top: int, side: int) -> npt.NDArray[np.bool_]:
    """Fill the convex hull of an outline within a square.

    Args:
        outline: Points, px of the whole image, (K, 2).
        left: First column of the square.
        top: First row of the square.
        side: Of the square, px.

    Returns:
        Shape (side, side).
    """
    corners = np.rint(outline - [left, top]).astype(np.int32)
    filled = np.zeros((side, side), dtype=np.uint8)
    cv2.fillConvexPoly(filled, cast(Any, cv2.convexHull(corners)), 1)
    return filled.astype(bool)


def _numbers(text: str) -> Points:
    """All numbers of a text, without a first line that holds letters."""
    lines = text.strip().splitlines()
    if len(lines) > 1 and re.search(r"[A-Za-z]", lines[0]):
        lines = lines[1:]
    found = re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", "\n".join(lines))
    return np.array(found, dtype=np.float64)


def _points(values: npt.NDArray[Any], count: int) -> Points:
    if values.size != 2 * count or values.dtype.kind not in "fiu":
        raise WantedError(f"x and y of {count} points", f"{values.size} numbers")
    points = values.reshape(count, 2).astype(np.float64)
    if not np.isfinite(points).all() or not (np.ptp(points, axis=0) > 1).all():
        raise WantedError(f"{count} points spread over a face", "points that are not")
    return points
