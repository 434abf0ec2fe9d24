"""The ray caster against shapes whose picture can be worked out by hand."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import warp as wp
from torch import Tensor

from facegeo.normals.augment import turn_faces
from facegeo.rendering.bust import Hair
from facegeo.rendering.heads import Part
from facegeo.rendering.lights import Lights, flash
from facegeo.rendering.mesh import Floats, Ints, sphere
from facegeo.rendering.render import Render, Renderer, gathered, middles, sweeps
from facegeo.rendering.scene import Camera, direction, rotation_matrix
from facegeo.rendering.shading import Look
from facegeo.rendering.studio import Studio, photograph_session

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
def test_normals_of_a_ball(ball: tuple[Floats, Ints], angles: tuple[float, float, float]) -> None:
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


def test_depth_of_a_ball(ball: tuple[Floats, Ints]) -> None:
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
def test_ball_is_seen_where_its_middle_is_projected(
    ball: tuple[Floats, Ints], place: tuple[float, float, float]
) -> None:
    points, triangles = ball
    view = camera(rotation_matrix(25, 10, -5))
    seen = picture(points + np.float32(place), points, triangles, view, direction(0, 0))
    rows, columns = np.nonzero(seen.parts == Part.CLOTH)
    middle = view.project(np.float32([place]))[0]
    np.testing.assert_allclose((columns.mean(), rows.mean()), middle, atol=0.3)


def test_plane_darkens_with_the_cosine() -> None:
    facing = np.tile(np.float32([0, 0, 1]), (4, 1))
    triangles = np.array([(0, 1, 2), (0, 2, 3)], dtype=np.int32)
    renders = []
    for angle in (0, 60):
        seen = picture(
            8 * SQUARE, facing, triangles, camera(np.eye(3, dtype=np.float32)), direction(angle, 0)
        )
        renders.append(seen)
    # The same spot under both lights: cloth shines a little, hence the tolerance.
    ratio = renders[1].colour[30:34, 30:34].mean() / renders[0].colour[30:34, 30:34].mean()
    assert ratio == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("shadows", [True, False])
def test_shadow_falls_where_the_light_is_hidden(shadows: bool) -> None:
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


def test_spared_rays_do_not_move_the_shadow() -> None:
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


def test_render_rejects_more_lights_than_bits() -> None:
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


@pytest.mark.parametrize(("size", "points"), [((60, 80), 4800), ((40, 200), 20 * 100)])
def test_sweeps_visit_every_pixel_once(size: tuple[int, int], points: int) -> None:
    (coarse, _), (rest, at) = sweeps(*size)
    assert len(coarse) == points
    np.testing.assert_array_equal(np.sort(np.concatenate([coarse, rest])), np.arange(np.prod(size)))
    np.testing.assert_array_equal(at[:, 1] * size[1] + at[:, 0], rest)


def test_middles_count_columns_first() -> None:
    np.testing.assert_array_equal(middles(np.array([0, 7], dtype=np.int32), 5), [(0, 0), (2, 1)])


@pytest.mark.parametrize("reach", [1, 3])
def test_gathered_bits_come_from_the_square_around(reach: int) -> None:
    rng = np.random.default_rng(0)
    bits = (1 << rng.integers(0, 17, (12, 17))).astype(np.int32)
    bits *= rng.uniform(size=bits.shape) < 0.2
    for row, column in np.ndindex(*bits.shape):
        around = bits[
            max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1
        ]
        assert gathered(bits, reach)[row, column] == np.bitwise_or.reduce(around, axis=None)


BALD = Hair(thickness=0.0, hairline_deg=90.0, length=0.0, spread=1.0, parting=0.0)
FACE_CAMERA = Camera(600.0, (63.5, 63.5), 120.0, rotation_matrix(12, -5, 0))


def face_tensors(studio: Studio, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
    """Image, normals and mask of one face, (1, ., S, S)."""
    render = studio.renderer.render(camera, flash(30, 45), Look(), (128, 128))
    image, normals = (
        torch.from_numpy(np.ascontiguousarray(a)).permute(2, 0, 1)[None].float()
        for a in (render.colour, render.normals)
    )
    mask = torch.from_numpy(np.ascontiguousarray(render.mask))[None, None]
    return image, normals * mask, mask


@pytest.mark.parametrize(("angle_deg", "scale"), [(20.0, 1.0), (-35.0, 1.15)])
def test_turned_normals_are_those_of_the_turned_face(
    studio: Studio, angle_deg: float, scale: float
) -> None:
    head = studio.model.sample(np.random.default_rng(5), {})
    studio.renderer.load(studio.builder.build(head, BALD))
    rolled = rotation_matrix(0, 0, -angle_deg) @ FACE_CAMERA.rotation
    wanted = replace(FACE_CAMERA, focal_px=FACE_CAMERA.focal_px * scale, rotation=rolled)
    _, truth, face = face_tensors(studio, wanted)
    angle, times = torch.tensor([math.radians(angle_deg)]), torch.tensor([scale])
    _, normals, mask = turn_faces(*face_tensors(studio, FACE_CAMERA), angle, times)
    both = (mask & face)[:, 0]
    cosine = (normals * truth).sum(dim=1)[both].clamp(-1, 1)
    errors = torch.rad2deg(torch.acos(cosine))
    # Measured 0.13 and 0.8: lids, lips and nostrils turn by up to 90 degrees between two pixels.
    assert errors.median() < 0.2
    assert errors.mean() < 1.0
    assert (mask ^ face).sum() < 0.02 * face.sum()
