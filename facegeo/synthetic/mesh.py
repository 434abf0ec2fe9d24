"""Triangle meshes: vertex normals, spheres, grids."""

import numpy as np

from facegeo.synthetic.head_model import Floats, Ints


def vertex_normals(vertices: Floats, triangles: Ints) -> Floats:
    """Return unit normals at vertices, weighted by the triangles' areas, shape (N, 3).

    A vertex of no triangle, or of empty ones, gets (0, 0, 1).

    Args:
        vertices: Shape (N, 3).
        triangles: Vertex numbers, shape (M, 3), anticlockwise seen from outside.
    """
    a, b, c = (vertices[corner].astype(np.float64) for corner in triangles.T)
    facing = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    owner = triangles.ravel()
    sums = [np.bincount(owner, facing[:, axis], minlength=len(vertices)) for axis in range(3)]
    normals = np.stack(sums, axis=1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    unit = np.where(length > 0, normals / np.maximum(length, 1e-30), (0.0, 0.0, 1.0))
    return unit.astype(np.float32)


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
