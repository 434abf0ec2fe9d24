"""The ray caster against shapes whose picture can be worked out by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import warp as wp

from facegeo.rendering.head_model import Floats, Ints, Part
from facegeo.rendering.mesh import sphere
from facegeo.rendering.render import Render, Renderer
from facegeo.rendering.sample import Studio
from facegeo.rendering.scene import Camera, Lights, direction, rotation_matrix
from facegeo.rendering.session import flash, photograph_session
from facegeo.rendering.shading import Look

SIZE = 64
SQUARE = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], dtype=np.float32)


def picture(
    vertices: Floats,
    normals: Floats,
    triangles: Ints,
    camera: Camera,
    towards: Floats,
    size: int = SIZE,
    *,
    shadows: bool = True,
) -> Render:
    """Render cloth of one colour under one hard light and no sky."""
    count = len(vertices)
    shape = SimpleNamespace(
        triangles=np.asarray(triangles, dtype=np.int32),
        parts=np.full(len(triangles), Part.CLOTH, dtype=np.int32),
        skin=np.zeros((count, 3), dtype=np.float32),
        paint=np.zeros((count, 6), dtype=np.float32),
    )
    bust: Any = SimpleNamespace(vertices=np.float32(vertices), normals=np.float32(normals))
    towards = np.float32(towards).reshape(-1, 3)
    lights = Lights(
        towards=towards,
        colours=np.ones_like(towards),
        softness=np.zeros(len(towards), dtype=np.float32),
        sky=np.zeros(3, dtype=np.float32),
        ground=np.zeros(3, dtype=np.float32),
    )
    look = Look()
    look.cloth = look.cloth_dark = wp.vec3(0.5, 0.5, 0.5)
    builder: Any = shape
    renderer = Renderer(builder, bust, shadows=shadows)
    return renderer.render(camera, lights, look, (size, size))


@pytest.fixture
def ball() -> tuple[Floats, Ints]:
    return sphere(96)


def camera(rotation: Floats, focal_px: float = 400.0) -> Camera:
    return Camera(focal_px, ((SIZE - 1) / 2, (SIZE - 1) / 2), 100.0, rotation)


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, -20, 10)], ids=["frontal", "turned"])
def test_normals_of_a_ball_point_away_from_its_middle(
    ball: tuple[Floats, Ints], angles: tuple[float, float, float]
) -> None:
    points, triangles = ball
    radius = 6.0
    seen = picture(
        radius * points, points, triangles, camera(rotation_matrix(*angles)), direction(0, 0)
    )
    # Where the ray through each pixel meets the ball, in the camera's frame.
    y, x = np.mgrid[:SIZE, :SIZE]
    middle = (SIZE - 1) / 2
    rays = np.stack([(x - middle) / 400, (middle - y) / 400, -np.ones((SIZE, SIZE))], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    centre = np.array([0, 0, -100.0])
    along = rays @ centre
    inside = radius**2 - (centre @ centre - along**2)
    hit = inside > 1.0  # the rim of a ball of flat triangles lies a little further in
    normals = (rays * (along - np.sqrt(np.maximum(inside, 0)))[..., None] - centre) / radius
    assert hit.sum() > 1000
    cosine = (normals[hit] * seen.normals[hit]).sum(axis=-1)
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 1.5  # triangles span 3.75 deg
    np.testing.assert_allclose(np.linalg.norm(seen.normals[hit], axis=-1), 1, atol=1e-5)


def test_depth_is_how_far_a_ball_stands_out_in_its_pixels(ball: tuple[Floats, Ints]) -> None:
    points, triangles = ball
    view = camera(rotation_matrix(30, -20, 10))
    seen = picture(6 * points, points, triangles, view, direction(0, 0))
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) / 400  # slopes of the rays
    # far * (x, y, -1) lies on the ball of radius 6 round (0, 0, -100).
    square = x**2 + y**2 + 1
    root = 100**2 - square * (100**2 - 6**2)
    hit = root > 4  # the rim of a ball of flat triangles lies a little further in
    far = (100 - np.sqrt(np.maximum(root, 0))) / square
    assert hit.sum() > 1000
    wanted = (100 - far) * 400 / 100
    # 0.1 px: the middles of flat triangles lie 0.003 cm inside the ball, 4 px a cm, seen slanted
    np.testing.assert_allclose(seen.depth[hit], wanted[hit], rtol=0, atol=0.1)
    assert np.isnan(seen.depth[seen.parts < 0]).all()
    assert np.isfinite(seen.depth[seen.parts >= 0]).all()


@pytest.mark.parametrize("place", [(0, 0, 0), (5, 1, 3), (-3, -4, -6)])
def test_a_ball_is_seen_where_its_middle_is_projected(
    ball: tuple[Floats, Ints], place: tuple[float, float, float]
) -> None:
    points, triangles = ball
    view = camera(rotation_matrix(25, 10, -5))
    seen = picture(points + np.float32(place), points, triangles, view, direction(0, 0))
    rows, columns = np.nonzero(seen.parts == Part.CLOTH)
    middle = view.project(np.float32([place]))[0]
    np.testing.assert_allclose((columns.mean(), rows.mean()), middle, atol=0.3)


def test_a_tilted_plane_darkens_with_the_cosine() -> None:
    facing = np.tile(np.float32([0, 0, 1]), (4, 1))
    triangles = np.array([(0, 1, 2), (0, 2, 3)], dtype=np.int32)
    looks = []
    for angle in (0, 60):
        seen = picture(
            8 * SQUARE, facing, triangles, camera(np.eye(3, dtype=np.float32)), direction(angle, 0)
        )
        looks.append(seen)
    # The same spot under both lights: cloth shines a little, hence the tolerance.
    ratio = looks[1].colour[30:34, 30:34].mean() / looks[0].colour[30:34, 30:34].mean()
    assert ratio == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("shadows", [True, False])
def test_a_shadow_falls_where_the_light_is_hidden(shadows: bool) -> None:
    # A wall at z = 0 and a small square 4 cm before it; light from the right at 45 degrees
    # throws the square's shadow 4 cm to the left.
    small = SQUARE + np.float32([0, 0, 4])
    vertices = np.concatenate([8 * SQUARE, small])
    facing = np.tile(np.float32([0, 0, 1]), (8, 1))
    triangles = np.array([(0, 1, 2), (0, 2, 3), (4, 5, 6), (4, 6, 7)], dtype=np.int32)
    view = camera(np.eye(3, dtype=np.float32))
    seen = picture(vertices, facing, triangles, view, direction(45, 0), shadows=shadows)
    spots = np.float32([(-4, 0, 0), (4, 0, 0), (-4, 4, 0), (-6.5, 0, 0)])
    hidden, *lit = [seen.colour[round(y), round(x), 1] for x, y in view.project(spots).tolist()]
    assert hidden == (0 if shadows else pytest.approx(lit[0], rel=0.1))
    assert min(lit) > 0.1 * seen.colour[..., 1].max()


def test_spared_rays_leave_the_shadow_where_it_was() -> None:
    # As above: a square 4 cm before a wall throws its shadow 4 cm to the left.
    vertices = np.concatenate([20 * SQUARE, SQUARE + np.float32([0, 0, 4])])
    facing = np.tile(np.float32([0, 0, 1]), (8, 1))
    triangles = np.array([(0, 1, 2), (0, 2, 3), (4, 5, 6), (4, 6, 7)], dtype=np.int32)
    view = Camera(3200.0, (255.0, 127.5), 100.0, np.eye(3, dtype=np.float32))
    seen = picture(vertices, facing, triangles, view, direction(45, 0), size=256)
    rows, columns = np.mgrid[:256, :256]
    x, y = (columns - 255.0) / 32, (127.5 - rows) / 32  # cm on the wall
    wall = np.maximum(np.abs(x), np.abs(y)) > 100 / 96 + 0.03  # not behind the square
    # Shadow rays start 0.11 cm before the wall; a pixel is 0.03 cm wide, a step of the
    # coarse grid 0.09 cm.
    away = np.maximum(np.abs(x + 3.89), np.abs(y)) - 1
    hidden, lit = seen.colour[wall & (away < -0.03)], seen.colour[wall & (away > 0.03)]
    assert min(len(hidden), len(lit)) > 400
    assert not hidden.any()
    assert lit.min() > 0.1


def test_more_lights_than_bits_are_refused() -> None:
    towards = np.tile(direction(0, 0), (9, 1))
    view = Camera(400.0, (31.5, 31.5), 100.0, np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="lights must be at most 8, got 9"):
        picture(SQUARE, SQUARE, np.array([(0, 1, 2)], dtype=np.int32), view, towards)


def test_without_shadows_no_skin_that_faces_the_light_is_dark() -> None:
    """Least share of the brightness that Lambert's cosine gives, beside the nose and elsewhere."""
    darkest = []
    for shadows in (True, False):
        session = photograph_session(Studio("anny", shadows=shadows), (1, 0), (2, 0), 64)
        seen = session.render
        cosine = seen.normals @ flash(*session.angles_deg[0]).towards[0]
        facing = seen.mask & (cosine > 0.4)
        darkest.append((seen.colour[facing].mean(axis=-1) / cosine[facing]).min())
    hidden, lit = darkest
    assert hidden < 0.02 < 0.08 < lit
