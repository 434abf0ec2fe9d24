"""Triangle meshes: vertex normals, spheres, grids, and the sphere nearest to points."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def vertex_normals(vertices: Floats, triangles: Ints) -> Floats:
    """Return unit normals at vertices, weighted by the triangles' areas, shape (N, 3).

    A vertex of no triangle, or of empty ones, gets (0, 0, 1).

    Args:
        vertices: Shape (N, 3).
        triangles: Vertex numbers, shape (M, 3), anticlockwise seen from outside.
    """
    xyz = vertices.T.astype(np.float64)  # one row an axis: NumPy is faster along rows
    corners = np.ascontiguousarray(triangles.T)
    a, b, c = (np.take(xyz, corner, axis=1) for corner in corners)
    (ux, uy, uz), (vx, vy, vz) = b - a, c - a
    facing = (uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
    owner, count = corners.ravel(), len(vertices)
    normals = np.stack([np.bincount(owner, np.tile(axis, 3), count) for axis in facing])
    length = np.sqrt((normals**2).sum(axis=0))
    unit = normals / np.maximum(length, 1e-30)
    unit[2, length == 0] = 1.0
    return np.ascontiguousarray(unit.T, dtype=np.float32)


def sphere(steps: int) -> tuple[Floats, Ints]:
    """Return a unit sphere: vertices (N, 3) and triangles (M, 3).

    Args:
        steps: Vertices round the equator; half as many from pole to pole.
    """
    rows, columns = steps // 2 + 1, steps + 1
    height, around = np.meshgrid(
        np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij"
    )
    ring = np.sin(height)
    points = np.stack([ring * np.sin(around), np.cos(height), ring * np.cos(around)], axis=-1)
    return points.reshape(-1, 3).astype(np.float32), grid(rows, columns)


def grid(rows: int, columns: int) -> Ints:
    """Return triangles of a sheet of rows x columns vertices stored row by row, shape (M, 3).

    Rows run down and columns anticlockwise seen from above, for faces that look outwards.
    """
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    down, right = corner + columns, corner + 1
    first = np.stack([corner, down, right], axis=1)
    second = np.stack([right, down, down + 1], axis=1)
    return np.concatenate([first, second]).astype(np.int32)


def fit_sphere(vertices: Floats) -> tuple[Floats, float]:
    """Return middle, shape (3,), and radius of the sphere nearest to points, shape (N, 3)."""
    shift = vertices.mean(axis=0, dtype=np.float64)
    local = vertices.astype(np.float64) - shift
    system = np.concatenate([2 * local, np.ones((len(local), 1))], axis=1)
    # Normal equations of 4 unknowns by einsum: the same bits for any number of BLAS threads.
    left = np.einsum("ni,nj->ij", system, system)
    right = np.einsum("ni,n->i", system, (local**2).sum(axis=1))
    *middle, rest = np.linalg.solve(left, right)
    radius = float(np.sqrt(rest + np.dot(middle, middle)))
    return (np.array(middle) + shift).astype(np.float32), radius
