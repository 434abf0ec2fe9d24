"""A height field as triangles: count, sides, places, and the frame of its normal map."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facegeo.errors import UserError
from facegeo.surfaces.mesh import normal_map, surface_normals, surface_of

Cap = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]


def test_two_triangles_for_each_square_of_pixels() -> None:
    surface = surface_of(np.zeros((3, 5)), np.ones((3, 5), dtype=bool))
    assert surface.vertices.shape == (15, 3)
    assert surface.triangles.shape == (2 * 2 * 4, 3)


def test_no_triangle_has_a_corner_outside_the_mask(cap: Cap) -> None:
    depth, _, mask = cap
    surface = surface_of(depth, mask)
    assert mask[tuple(surface.pixels)].all()
    quads = sum(mask[r : r + 2, c : c + 2].all() for r in range(31) for c in range(39))
    corners = sum(mask[r : r + 2, c : c + 2].sum() == 3 for r in range(31) for c in range(39))
    assert 2 * quads <= len(surface.triangles) <= 2 * quads + corners
    assert np.unique(surface.triangles).tolist() == list(range(len(surface.vertices)))


def test_triangles_face_the_camera_and_vertices_the_right_way(cap: Cap) -> None:
    depth, normals, mask = cap
    surface = surface_of(depth, mask)
    a, b, c = surface.vertices[surface.triangles].transpose(1, 0, 2)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()
    row, column = surface.pixels
    cosine = (surface.normals * normals[row, column]).sum(axis=1)
    # border vertices have triangles on one side alone: off by half a pixel of 25, 1.2 degrees
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 3


def test_normals_are_at_their_pixels(cap: Cap) -> None:
    depth, normals, mask = cap
    mask = mask.copy()
    mask[0, 0], depth[0, 0] = True, 0.0  # has no neighbours, so no triangle
    got = surface_normals(depth, mask)
    assert (got[0, 0] == 0).all()
    assert (got[~mask] == 0).all()
    mask[0, 0] = False
    cosine = (got[mask] * normals[mask]).sum(axis=1)
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 3


def test_the_pictures_width_is_one_and_its_middle_the_origin() -> None:
    depth = np.full((3, 5), 2.0)
    surface = surface_of(depth, np.ones((3, 5), dtype=bool))
    corner = np.flatnonzero((surface.pixels[0] == 0) & (surface.pixels[1] == 0))[0]
    np.testing.assert_allclose(surface.vertices[corner], (-2 / 5, 1 / 5, 2 / 5), rtol=1e-6)
    np.testing.assert_allclose(surface.uv[corner], (0.1, 1 - 1 / 6), rtol=1e-6)


def test_a_normal_map_of_the_surfaces_own_normals_is_flat(cap: Cap) -> None:
    depth, normals, mask = cap
    surface = surface_of(depth, mask)
    inside = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    colours = normal_map(surface, normals)
    away = np.abs(colours[1:-1, 1:-1][inside].astype(int) - (128, 128, 255))
    assert away.max() <= 4  # 1.8 degrees: flat triangles of a ball
    assert (colours[~mask] == (128, 128, 255)).all()


@pytest.mark.parametrize(
    ("normal", "colour"),
    [
        ((0.6, 0.0, 0.8), (204, 128, 230)),
        ((0.0, 0.6, 0.8), (128, 204, 230)),
        ((0.0, 0.0, -1.0), (128, 128, 128)),
    ],
    ids=["right-is-red", "up-is-green", "into-the-surface-is-cut-off"],
)
def test_colours_of_a_normal_map_on_a_flat_surface(
    normal: tuple[float, float, float], colour: tuple[int, int, int]
) -> None:
    surface = surface_of(np.zeros((3, 3)), np.ones((3, 3), dtype=bool))
    got = normal_map(surface, np.broadcast_to(normal, (3, 3, 3)))
    np.testing.assert_array_equal(got[1, 1], colour)


def test_on_a_slope_a_normal_map_is_relative_to_the_slope() -> None:
    depth = np.broadcast_to(np.arange(4.0), (4, 4))  # rises to the right at 45 degrees
    surface = surface_of(depth, np.ones((4, 4), dtype=bool))
    colours = normal_map(surface, np.broadcast_to((0.0, 0.0, 1.0), (4, 4, 3)))
    # the surface looks left; the camera is 45 degrees from there, along the slope
    np.testing.assert_array_equal(colours[1, 1], (218, 128, 218))


def test_invalid_surfaces_are_refused() -> None:
    lonely = np.eye(4, dtype=bool)
    with pytest.raises(UserError, match="three face pixels side by side, found none among 4"):
        surface_of(np.zeros((4, 4)), lonely)
    with pytest.raises(ValueError, match="depth must be finite inside the mask"):
        surface_of(np.full((4, 4), np.nan), ~lonely)
    with pytest.raises(ValueError, match=r"mask must have shape \(4, 4\), got \(4, 5\)"):
        surface_of(np.zeros((4, 4)), np.ones((4, 5), dtype=bool))
