"""Where a face is in a photo, and its outline, from five points.

The crop rule of the preprocessed Photoface, after Abrevaya et al. (2020): a square of 1.2 times
the longer side of the bounding box of the 68 points; the mask is their convex hull.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from facegeo.errors import UserError
from facegeo.files.lists import WantedError, is_number, numbered_rows

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
    """Read 68 points, x and y in pixels from the first pixel's centre, shape (68, 2).

    Args:
        path: ``.npy`` of shape (68, 2), ``.pts``, or text with x and y of a point a line, after
            a header line if there is one.

    Raises:
        WantedError: If there is no such file or it holds something else.
    """
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            values = _numbers(_body(path, path.read_text(encoding="utf-8-sig")))
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
    """Return left column, top row and side of the square around an outline, px.

    It is moved into the image where it sticks out, and made no larger than the image; points on
    one spot get a pixel.

    Args:
        outline: Points, px, (K, 2).
        height: Of the image, px.
        width: Of the image, px.
    """
    low, high = outline.min(axis=0), outline.max(axis=0)
    side = max(1, min(round(MARGIN * float((high - low).max())), height, width))
    start = np.rint((low + high - (side - 1)) / 2).astype(int)
    left, top = np.clip(start, 0, [width - side, height - side]).tolist()
    return left, top, side


def outline_mask(outline: Points, left: int, top: int, side: int) -> npt.NDArray[np.bool_]:
    """Fill the convex hull of an outline within a square, shape (side, side).

    Args:
        outline: Points, px of the image, (K, 2).
        left: First column of the square.
        top: First row of the square.
        side: Of the square, px.
    """
    corners = np.rint(outline - [left, top]).astype(np.int32)
    filled = np.zeros((side, side), dtype=np.uint8)
    cv2.fillConvexPoly(filled, cast(Any, cv2.convexHull(corners)), 1)
    return filled.astype(bool)


def _body(path: Path, text: str) -> str:
    """The part between braces of a ``.pts`` file; all of others."""
    braces = re.search(r"\{([^}]*)\}", text) if path.suffix == ".pts" else None
    return braces[1] if braces else text


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


BESIDE = (".pts", ".txt")
"""Endings of files of points beside a photo, as 300-W has them."""
FIVE_SIDE, FIVE_DOWN = 1.289 / MARGIN, 0.029 * MARGIN
"""The box of the 68 points, estimated from five: see ``five_point_outline``."""
Places = dict[str, Points | str]
"""By photo: the outline of its face, or the fault of its entry."""


def read_places(path: Path, key: Literal["points", "boxes"]) -> Places:
    """Read a CSV list of points or of face boxes, a line a photo.

    A first line without numbers is a header; other columns are not allowed.

    Args:
        path: The list.
        key: "points": ``file,x1,y1,..``, px, 5 (left eye, right eye, nose tip, left and right
            mouth corner) or 68; "boxes": ``file,left,top,width,height``, px, as CelebA's.

    Returns:
        Outline by photo, shape (2, 2) or (68, 2), or the fault of its line.

    Raises:
        UserError: If the file cannot be read.
    """
    try:
        rows = list(numbered_rows(path))
    except OSError as error:
        raise UserError(
            f"{path}: wanted a CSV file with the {key} of each photo, got "
            f"{error.strerror or error}; set {key} to such a file"
        ) from error
    outline = _points_outline if key == "points" else _box_outline
    places: Places = {}
    for line, (file, *fields) in rows:
        if line == 1 and fields and not any(map(is_number, fields)):
            continue  # a header
        name = file.replace("\\", "/").removeprefix("./")
        try:
            if name in places:
                raise WantedError("each photo once", "it again")
            places[name] = outline(fields)
        except WantedError as error:
            where = f"{path.name} line {line}, {name}"
            places[name] = f"{where}: wanted {error.wanted}, got {error.got}"
    return places


def points_beside(photo: Path) -> Points | None:
    """Read the points in the file with a photo's name and one of the endings ``BESIDE``.

    Returns:
        Outline, shape (2, 2) or (68, 2); None if there is no such file.

    Raises:
        WantedError: If the file holds something else.
    """
    for path in map(photo.with_suffix, BESIDE):
        if path.is_file():
            try:
                text = path.read_text(encoding="utf-8-sig", errors="replace")
            except OSError as error:
                raise WantedError("a readable file", error.strerror or str(error)) from error
            return _points_outline(re.split(r"[\s,]+", _body(path, text).strip()))
    return None


def _points_outline(fields: Sequence[str]) -> Points:
    """The outline of 5 or 68 points, x and y in turn."""
    if len(fields) not in (10, 136):
        raise WantedError("x and y of 5 or 68 points", f"{len(fields)} numbers")
    points = np.array([_number(field) for field in fields]).reshape(-1, 2)
    outline = points if len(points) > 5 else five_point_outline(points)
    if np.ptp(outline, axis=0).max() < 1:
        raise WantedError("points spread over a face", "points on one spot")
    return outline


def five_point_outline(points: Points) -> Points:
    """Return corners of the box that the 68 points of a face would have, guessed from five.

    Five points lie well inside that box. Its longer side is taken as 1.074 times the distance of
    the eyes plus that from the middle of the eyes to the middle of the mouth corners; its middle
    lies 0.035 sides below the middle of those two. Fitted to 500 heads of ICT-FaceKit with its 68
    points (half of them with expressions; yaw, pitch and roll with standard deviations of 12, 7
    and 5 degrees): the crop's side is met with a standard deviation of 3.4 %, its middle with 7 %
    (along x, from yaw) and 1.2 % (along y) of the side. On 41 portraits whose squares were laid in
    the same way around 468 points, which reach the hairline, the form fits as well (3.3, 3.9 and
    0.9 %), but the squares are 1.25 times as wide.

    Args:
        points: Left eye, right eye, nose tip, left and right mouth corner, px, (5, 2).

    Returns:
        Left top and right bottom corner, px, (2, 2).
    """
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    side = FIVE_SIDE * (math.dist(points[0], points[1]) + math.dist(eyes, mouth))
    middle = (eyes + mouth) / 2 + [0, FIVE_DOWN * side]
    return np.stack([middle - side / 2, middle + side / 2])


def _box_outline(fields: Sequence[str]) -> Points:
    if len(fields) != 4:
        raise WantedError("left, top, width, height", f"{len(fields)} numbers")
    left, top, width, height = map(_number, fields)
    if min(width, height) < 1:
        raise WantedError("a box of 1 px or more", f"{width:g} x {height:g}")
    return np.array([[left, top], [left + width, top + height]])


def _number(field: str) -> float:
    if not is_number(field):
        raise WantedError("finite numbers", repr(field))
    return float(field)
