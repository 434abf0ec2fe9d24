"""Camera, pose and framing of one picture, and how they are drawn.

Pictures are framed in three ways: by a detector's box (``frame_head``), as Photoface's crops are
(``frame_face``), and as ``facegeo-predict`` cuts faces out for normals (``frame_portrait``).
"""

from dataclasses import dataclass

import numpy as np

from facegeo.files.places import MARGIN as SQUARE_MARGIN
from facegeo.files.places import five_point_outline
from facegeo.rendering.heads import Head, Surface
from facegeo.rendering.mesh import Floats

# Boxes are squares that follow the head, not the points, as those of the detector behind the lists
# of Sun et al. (CVPR 2013): when a head turns, the points move inside the box. Rule and spread were
# fitted to the means and deviations of the five points in the boxes of those lists.
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
MIDDLE_OFF, SIDE_OFF = 0.025, 0.045
"""Spread of a portrait's middle and side, in sides: about what found points add to both."""


@dataclass(frozen=True)
class Camera:
    """A pinhole in front of the head.

    Attributes:
        focal_px: Focal length in pixels.
        centre: Principal point (x, y), pixels, 0-based, pixel centres at integers.
        distance: From the pinhole to the origin of the head frame, cm.
        rotation: Turns head frame vectors into the camera's frame (x right, y up, z to the
            camera), shape (3, 3).
    """

    focal_px: float
    centre: tuple[float, float]
    distance: float
    rotation: Floats

    def to_camera(self, vertices: Floats) -> Floats:
        """Take head frame points, shape (N, 3), to the camera's frame; the pinhole is at 0."""
        turned: Floats = np.einsum("ij,nj->ni", self.rotation, vertices)
        turned[:, 2] -= np.float32(self.distance)
        return turned

    def project(self, vertices: Floats) -> Floats:
        """Return pixels (x, y) of head frame points, shape (N, 2)."""
        seen = self.to_camera(vertices)
        x = self.centre[0] + self.focal_px * seen[:, 0] / -seen[:, 2]
        y = self.centre[1] - self.focal_px * seen[:, 1] / -seen[:, 2]
        return np.stack([x, y], axis=1)


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


def rotation_matrix(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Floats:
    """Return the rotation of a head, shape (3, 3).

    Args:
        yaw_deg: Turns the nose to the image's right.
        pitch_deg: Turns the nose up.
        roll_deg: Tilts the head clockwise as seen in the image; applied last.
    """
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    c, s = np.cos(yaw), np.sin(yaw)
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(pitch), np.sin(pitch)
    about_x = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    c, s = np.cos(roll), np.sin(roll)
    about_z = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    rotation: Floats = (about_z @ about_x @ about_y).astype(np.float32)
    return rotation


def direction(azimuth_deg: float, elevation_deg: float) -> Floats:
    """Return a unit vector: azimuth 0 is the camera, 90 the image's right; elevation up."""
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    level = np.cos(elevation)
    parts = [level * np.sin(azimuth), np.sin(elevation), level * np.cos(azimuth)]
    return np.array(parts, dtype=np.float32)


def draw_pose(rng: np.random.Generator) -> Floats:
    """Draw a head rotation like those of news and web photographs.

    Mostly frontal, with a heavy tail in yaw; roll has the spread measured on LFPW (7.6 deg).
    """
    turned = rng.uniform() < 0.27
    yaw = rng.uniform(-45, 45) if turned else rng.normal(0, 11.5)
    pitch = np.clip(rng.normal(2, 9), -24, 24)
    roll = np.clip(rng.normal(-0.7, 7), -25, 25)
    return rotation_matrix(float(np.clip(yaw, -48, 48)), float(pitch), float(roll))


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


def frame_portrait(
    rng: np.random.Generator, head: Head, rotation: Floats, distance: float, size: int
) -> tuple[Camera, Box]:
    """Choose focal length and crop as ``facegeo-predict`` cuts faces out for normals.

    That is the square of ``five_point_outline`` about the five points, a little off.

    Args:
        rng: Decides how far the square is off.
        head: Whose points.
        rotation: Of the head.
        distance: From the camera, cm.
        size: Side of the picture in pixels.

    Returns:
        The camera, and the face's box, see ``frame_head``, which the picture surrounds.
    """
    middle, side = seen_box(rng, head, rotation, distance)
    points = Camera(1.0, (0.0, 0.0), distance, rotation).project(head.points)
    low, high = five_point_outline(points.astype(np.float64))
    square = SQUARE_MARGIN * float((high - low).max()) * float(np.exp(rng.normal(0, SIDE_OFF)))
    centre_of_square = (low + high) / 2 + square * rng.normal(0, MIDDLE_OFF, 2)
    focal = size / square
    centre = (size - 1) / 2 - focal * centre_of_square
    camera = Camera(focal, (float(centre[0]), float(centre[1])), distance, rotation)
    left, top = focal * (middle - side / 2) + centre
    return camera, Box(float(left), float(top), focal * side)


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
