"""Face boxes in the manner of the detector behind the lists of Sun et al. (CVPR 2013).

Its boxes are squares that follow the head, not the points: when a head turns, the points move
inside the box. Rule and spread were fitted to the means and deviations of the five points in the
boxes of those lists.
"""

from dataclasses import dataclass

import numpy as np

from facegeo.rendering.head_model import Floats, Head, Surface
from facegeo.rendering.scene import Camera

SIDE = 2.0
"""Side of the box in face sizes, the root of eye distance times eye-to-mouth distance."""
MIDDLE = (-0.008, -0.495, -0.18)
"""Middle of the box from the middle of the eyes, in face sizes, head frame."""
SIDE_STD = 0.085
MIDDLE_STD = (0.042, 0.018)
BROWS = 0.33
"""Height of the brows in the skin's frame."""
CROP = 1.2
MARGIN = 0.4
"""Share of the box side that a picture keeps on each side of the box."""


@dataclass(frozen=True)
class Box:
    """A square in pixels.

    Attributes:
        left: Of the box.
        top: Of the box.
        side: Of the box.
    """

    left: float
    top: float
    side: float


def frame_head(
    rng: np.random.Generator, head: Head, rotation: Floats, distance: float, size: int
) -> tuple[Camera, Box]:
    """Choose focal length and crop so that the face's box takes its usual place in the picture.

    Args:
        rng: Decides how far the detector misses.
        head: Whose box.
        rotation: Of the head.
        distance: From the camera, cm.
        size: Side of the picture in pixels.

    Returns:
        The camera, and the box, which the picture surrounds with a margin of ``MARGIN`` sides;
        less where a photograph ends earlier.
    """
    middle, side = seen_box(rng, head, rotation, distance)
    side_px = size / (1 + 2 * MARGIN)
    focal = side_px / side
    wanted = (size - 1) / 2 + side_px * rng.normal(0, 0.02, 2).clip(-0.05, 0.05)
    centre = wanted - focal * middle
    camera = Camera(focal, (float(centre[0]), float(centre[1])), distance, rotation)
    left, top = wanted - side_px / 2
    return camera, Box(float(left), float(top), side_px)


def seen_box(
    rng: np.random.Generator, head: Head, rotation: Floats, distance: float
) -> tuple[Floats, float]:
    """Return middle, shape (2,), and side of a head's box, seen with a focal length of 1.

    Args:
        rng: Decides how far the detector misses.
        head: Whose box.
        rotation: Of the head.
        distance: From the camera, cm.
    """
    face = float(np.sqrt(np.prod(_extents(head))))
    unit = Camera(1.0, (0.0, 0.0), distance, rotation)
    eyes = head.points[:2].mean(axis=0)
    (middle,) = unit.project((eyes + np.float32(face) * np.array(MIDDLE))[None])
    side = SIDE * face / distance * float(np.exp(rng.normal(0, SIDE_STD)))
    return middle + side * rng.normal(0, MIDDLE_STD).clip(-0.09, 0.09), side


def frame_face(
    head: Head, surface: Surface, rotation: Floats, distance: float, size: int
) -> Camera:
    """Choose focal length and crop as Photoface's crops do.

    Those are squares of 1.2 times the larger side of the face's extent, brows to chin.
    """
    below_brows = (surface.paint.face > 0.5) & (surface.skin[:, 1] < BROWS)
    seen = Camera(1.0, (0.0, 0.0), distance, rotation).project(head.vertices[below_brows])
    low, high = seen.min(axis=0), seen.max(axis=0)
    focal = size / (CROP * float((high - low).max()))
    centre = (size - 1) / 2 - focal * (low + high) / 2
    return Camera(focal, (float(centre[0]), float(centre[1])), distance, rotation)


def _extents(head: Head) -> tuple[float, float]:
    """Return eye distance and eye-to-mouth distance, cm."""
    left, right, _, *mouth = head.points
    down = (left + right) / 2 - np.mean(mouth, axis=0)
    return float(np.linalg.norm(right - left)), float(np.linalg.norm(down))
