"""Camera, pose and lights of one picture, and how they are drawn."""

from dataclasses import dataclass

import numpy as np

from facegeo.rendering.head_model import Floats


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
class Lights:
    """Lights far away, and a sky; linear colours.

    Attributes:
        towards: Unit vectors to the lights in the camera's frame, shape (L, 3).
        colours: Shape (L, 3).
        softness: Angular radius of the lights, radians, shape (L,).
        sky: Light from above, shape (3,).
        ground: Light from below, shape (3,).
    """

    towards: Floats
    colours: Floats
    softness: Floats
    sky: Floats
    ground: Floats


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


def draw_lights(rng: np.random.Generator) -> Lights:
    """Draw one to three lights and a sky: flash, window, sun, lamps."""
    count = int(rng.choice([1, 2, 2, 3]))
    key = (rng.normal(0, 40), rng.uniform(0, 60))
    others = [(rng.uniform(-110, 110), rng.uniform(-20, 60)) for _ in range(count - 1)]
    angles = [key, *others]
    strength = [rng.uniform(0.9, 1.7), *rng.uniform(0.15, 0.8, count - 1)]
    warm = rng.normal(0, 0.09, count)
    tint = np.stack([1 + warm, np.ones(count), 1 - 1.2 * warm], axis=1)
    ambient = rng.uniform(0.25, 0.8)
    shade = 1 + rng.normal(0, 0.06, 3)
    return Lights(
        towards=np.stack([direction(*angle) for angle in angles]),
        colours=(tint * np.array(strength)[:, None]).astype(np.float32),
        softness=rng.uniform(0.02, 0.22, count).astype(np.float32),
        sky=(ambient * shade).astype(np.float32),
        ground=(ambient * rng.uniform(0.25, 0.7) * shade * (1.05, 1.0, 0.92)).astype(np.float32),
    )
