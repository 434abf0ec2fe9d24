"""The tone curve and vertex normals against their formulas."""

import numpy as np

from facegeo.rendering.mesh import sphere, vertex_normals
from facegeo.rendering.photo import encode_tone


def test_tone_curve_is_srgb_below_its_shoulder() -> None:
    light = np.linspace(0, 0.74, 2001)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    # Half a step from rounding, 0.1 from the table.
    assert np.abs(encode_tone(light) - 255 * curve).max() < 0.6


def test_tone_curve_rises_and_ends_white() -> None:
    coded = encode_tone(np.array([-1.0, 0.0, 0.75, 1.0, 2.0, 4.0, 9.0]))
    assert coded[0] == coded[1] == 0
    assert coded[2] < coded[3] < coded[4]
    assert coded[5] == coded[6] == 255


def test_vertex_normals_of_a_sphere() -> None:
    points, triangles = sphere(96)
    ring = np.abs(points[:, 1]) < 0.99  # at the poles and the seam triangles are one-sided
    seam = (np.abs(points[:, 0]) < 1e-4) & (points[:, 2] > 0)
    cosine = (vertex_normals(points, triangles) * points).sum(axis=1)[ring & ~seam]
    assert cosine.min() > np.cos(np.radians(0.5))  # triangles span 3.75 deg


def test_vertex_without_triangles_looks_ahead() -> None:
    corners = np.float32([(0, 0, 0), (0, 1, 0), (0, 0, 2), (5, 5, 5)])
    normals = vertex_normals(corners, np.array([(0, 1, 2)], dtype=np.int32))
    np.testing.assert_array_equal(normals, [(1, 0, 0)] * 3 + [(0, 0, 1)])
