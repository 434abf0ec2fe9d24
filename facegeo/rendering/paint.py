"""Maps over a head's vertices that are computed once: hairline, shade, averages."""

from collections.abc import Sequence
from typing import Any, no_type_check

import numpy as np
import warp as wp
from numpy.typing import NDArray

from facegeo.rendering.mesh import Floats, Ints, fit_sphere, sphere, vertex_normals

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


def open_sky(
    vertices: Floats, triangles: Ints, eyeballs: Sequence[Floats], reach: float = 7.0
) -> Floats:
    """Return the cosine-weighted share of directions free of surface, shape (N,).

    Args:
        vertices: Shape (N, 3), cm.
        triangles: Shape (M, 3).
        eyeballs: Points on the eyeballs, whose spheres are in the way too.
        reach: How far a surface darkens, cm.
    """
    points, faces = [vertices], [triangles]
    for ball in eyeballs:
        centre, radius = fit_sphere(ball)
        ball_points, ball_faces = sphere(24)
        faces.append(ball_faces + sum(map(len, points)))
        points.append(centre + np.float32(radius * 0.98) * ball_points)
    mesh = wp.Mesh(
        points=wp.array(np.concatenate(points), dtype=wp.vec3, device="cpu"),
        indices=wp.array(np.concatenate(faces).ravel(), dtype=int, device="cpu"),
    )
    free: Any = wp.zeros(len(vertices), dtype=float, device="cpu")
    arrays: list[Any] = [
        wp.array(each, dtype=wp.vec3, device="cpu")
        for each in (vertices, vertex_normals(vertices, triangles), even_directions(128))
    ]
    wp.launch(count_free, len(vertices), [mesh.id, *arrays, reach, free], device="cpu")
    result: NDArray[np.float32] = free.numpy()
    return result


def even_directions(count: int) -> Floats:
    """Return unit vectors spread evenly over the sphere (a Fibonacci lattice), shape (count, 3)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], 1).astype(np.float32)


@no_type_check
@wp.kernel(enable_backward=False)
def count_free(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    reach: float,
    free: wp.array(dtype=float),
) -> None:
    """Write the cosine-weighted share of ``directions`` that hit nothing within ``reach``."""
    i = wp.tid()
    seen = float(0.0)  # noqa: UP018  a variable; without float() a constant
    total = float(0.0)  # noqa: UP018
    for k in range(directions.shape[0]):
        weight = wp.dot(directions[k], normals[i])
        if weight > 0.0:
            total += weight
            start = points[i] + 0.05 * normals[i]
            if not wp.mesh_query_ray_anyhit(mesh, start, directions[k], reach):
                seen += weight
    free[i] = seen / wp.max(total, 1.0e-6)
