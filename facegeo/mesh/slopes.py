"""Steps in depth from pixel to pixel that normals ask for, and how far each can be trusted.

The camera is orthographic: a pixel sees along z, and depth counts in pixels towards the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facegeo.checks import check_shape

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
STEEPEST: Final = 0.1
"""Least z of a normal that is divided by: slopes end at 84 degrees."""


@dataclass(frozen=True)
class Slopes:
    """Wanted differences of depth between neighbours, in pixels.

    Attributes:
        trust: In the slope at each pixel, in (0, 1], shape (H, W).
        right: depth[:, 1:] - depth[:, :-1], shape (H, W - 1).
        down: depth[1:] - depth[:-1], shape (H - 1, W).
        right_trust: In ``right``, in (0, 1], same shape.
        down_trust: In ``down``, in (0, 1], same shape.
    """

    trust: Floats
    right: Floats
    down: Floats
    right_trust: Floats
    down_trust: Floats


def slopes_of(normals: Floats) -> Slopes:
    """Return the steps between neighbours: means of the slopes at both ends.

    Slope is tan of the angle to the camera's axis, so an error of the angle weighs 1 / z^2 in it:
    trust is the inverse of the variance that equal errors of the angles give, with 1 where both
    normals look at the camera.

    Args:
        normals: Unit vectors, shape (H, W, 3), x right, y up, z to the camera. A vector without
            length says nothing: trust there is next to none, and the surface stays smooth.

    Raises:
        ValueError: If the shape is another.
    """
    check_shape("normals", normals, "H", "W", 3)
    x, y, z = np.moveaxis(normals.astype(np.float64), 2, 0)
    toward = np.maximum(z, STEEPEST)
    right, down, variance = -x / toward, y / toward, toward**-4
    return Slopes(
        trust=1 / variance,
        right=(right[:, 1:] + right[:, :-1]) / 2,
        down=(down[1:] + down[:-1]) / 2,
        right_trust=2 / (variance[:, 1:] + variance[:, :-1]),
        down_trust=2 / (variance[1:] + variance[:-1]),
    )
