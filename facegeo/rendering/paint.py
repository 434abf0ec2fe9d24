"""Maps over a head's vertices that are worked out once: the hairline, and averages."""

import numpy as np

from facegeo.rendering.head_model import Floats, Ints

SKULL = np.array([0.0, 0.30, -1.35], dtype=np.float32)
"""Middle of the skull in the skin's frame, seen from which the hairline is drawn."""
HAIRLINE = ((0, 41), (30, 38), (52, 30), (66, 14), (80, -14), (95, -26), (125, -38), (180, -42))
"""Direction from straight ahead round to the back, and height of the hairline there, degrees."""


def scalp_angle(skin: Floats) -> Floats:
    """Return how far vertices lie above the usual hairline, in degrees, shape (N,).

    Args:
        skin: Vertices in the skin's frame, shape (N, 3).
    """
    x, y, z = (skin - SKULL).T
    around = np.degrees(np.abs(np.arctan2(x, z)))
    height = np.degrees(np.arctan2(y, np.hypot(x, z)))
    directions, heights = np.array(HAIRLINE, dtype=np.float32).T
    above: Floats = (height - np.interp(around, directions, heights)).astype(np.float32)
    return above


def vertex_means(triangles: Ints, values: Floats, count: int) -> Floats:
    """Average values of triangles, shape (M,), at their vertices, shape (count,)."""
    sums = np.bincount(triangles.ravel(), np.repeat(values, 3), minlength=count)
    hits = np.bincount(triangles.ravel(), minlength=count)
    return (sums / np.maximum(hits, 1)).astype(np.float32)


def dilate(values: Floats, triangles: Ints) -> Floats:
    """Give each vertex the largest value among itself and its neighbours, shape (N,)."""
    grown = values.copy()
    largest = values[triangles].max(axis=1)
    for corner in triangles.T:
        np.maximum.at(grown, corner, largest)
    return grown
