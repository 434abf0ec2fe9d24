"""Directions of lamps: from angles, and whether they suffice for photometric stereo."""

import math

import torch
from torch import Tensor

from facegeo.checks import check_shape

COPLANAR = 20.0
"""Condition number of the light directions above which they count as lying in one plane."""


def light_directions(zenith_deg: Tensor, azimuth_deg: Tensor) -> Tensor:
    """Directions towards lights given by zenith and azimuth.

    Args:
        zenith_deg: Angle from the axis to the camera, degrees, shape (N,).
        azimuth_deg: From image right towards up, degrees, shape (N,).

    Returns:
        (sin z cos a, sin z sin a, cos z): x right, y up, z to the camera, float64, (N, 3).
    """
    zenith, azimuth = torch.deg2rad(zenith_deg.double()), torch.deg2rad(azimuth_deg.double())
    flat = torch.stack([azimuth.cos(), azimuth.sin()], dim=1) * zenith.sin()[:, None]
    return torch.cat([flat, zenith.cos()[:, None]], dim=1)


def flash_directions(azimuth_deg: Tensor, elevation_deg: Tensor) -> Tensor:
    """Directions towards lights as the Extended Yale Face Database B names them.

    Args:
        azimuth_deg: From the axis to the camera towards the left of the image, degrees, shape (N,).
        elevation_deg: Upwards from the horizontal plane, degrees, shape (N,).

    Returns:
        (-sin a cos e, sin e, cos a cos e): x right, y up, z to the camera, float64, (N, 3).
    """
    azimuth, elevation = torch.deg2rad(azimuth_deg.double()), torch.deg2rad(elevation_deg.double())
    flat = elevation.cos()
    return torch.stack([-azimuth.sin() * flat, elevation.sin(), azimuth.cos() * flat], dim=1)


def check_lights(lights: Tensor) -> None:
    """Refuse lights that leave a normal open.

    Args:
        lights: Towards the lights, shape (N, 3).

    Raises:
        ValueError: If there are fewer than three, all lie near one plane, or one is not finite.
    """
    check_shape("lights", lights, "N", 3)
    if len(lights) < 3:
        raise ValueError(f"photometric stereo needs at least 3 lights, got {len(lights)}")
    spread = condition(lights.double())
    if not spread <= COPLANAR:
        raise ValueError(
            "light directions must not lie in one plane (condition number at most "
            f"{COPLANAR:g}), got {spread:.3g}"
        )


def condition(lights: Tensor) -> float:
    """Condition number of light directions (N, 3); infinite if one is not finite."""
    if not lights.isfinite().all():
        return math.inf
    spread = torch.linalg.svdvals(lights)
    return float(spread[0] / spread[-1])
