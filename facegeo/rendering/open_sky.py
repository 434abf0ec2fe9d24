"""How much of the sky each vertex of a head sees: soft shade in eye sockets and nostrils."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from facegeo.rendering.head_model import Floats, Ints
from facegeo.rendering.linear_head import fit_sphere
from facegeo.rendering.mesh import sphere, vertex_normals
from facegeo.rendering.sky_rays import count_free


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
