"""Lights add up, maps lose no light when taken apart, and files of maps are checked."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.rendering.light_files import read_lights
from facegeo.rendering.lights import (
    LUMINANCE,
    Lights,
    basis,
    flash,
    map_grid,
    shading_of,
    split_map,
    surround_of,
    surround_of_lights,
)
from facegeo.rendering.look import draw_hair, draw_look
from facegeo.rendering.mesh import Floats
from facegeo.rendering.paint import even_directions
from facegeo.rendering.scene import direction, frame_face, rotation_matrix
from facegeo.rendering.studio import Studio

NORMALS = even_directions(200)
WHITE = np.ones(3, dtype=np.float32)


def integrated(radiance: Floats, to_camera: Floats, normals: Floats) -> Floats:
    """Sum a map over the hemisphere of each normal: irradiance over pi, shape (N, 3)."""
    directions, solid = map_grid(*radiance.shape[:2])
    cosine = (normals @ (directions.reshape(-1, 3) @ to_camera.T).T).clip(0)
    return (cosine * solid.ravel()) @ radiance.reshape(-1, 3) / np.pi


@pytest.mark.parametrize("number", range(18))
def test_lamps_and_surround_shade_as_their_map_does(number: int) -> None:
    maps = read_lights(None)
    assert len(maps) == 18
    turn = rotation_matrix(40.0 * number, 10.0, -5.0)
    split = split_map(maps[number])
    got = shading_of(surround_of(split, turn, WHITE), NORMALS) @ LUMINANCE
    wanted = integrated(maps[number], turn, NORMALS) @ LUMINANCE
    # Two orders of harmonics leave up to 9 % where light is neither smooth nor a spot.
    assert np.abs(got - wanted).max() < 0.1 * wanted.mean()
    assert np.sqrt(((got - wanted) ** 2).mean()) < 0.05 * wanted.mean()
    assert got.mean() == pytest.approx(wanted.mean(), rel=0.01)


def test_sun_becomes_a_lamp_of_its_direction_and_strength() -> None:
    directions, solid = map_grid()
    radiance = np.full((32, 64, 3), 0.1, dtype=np.float32)
    radiance[8, 40] += 50.0
    split = split_map(radiance)
    assert len(split.softness) == 1
    np.testing.assert_allclose(split.towards[0], directions[8, 40], atol=1e-4)
    np.testing.assert_allclose(split.colours[0], 50 * solid[8, 40] / np.pi, rtol=1e-4)
    np.testing.assert_allclose(split.rest, 0.1, atol=1e-5)


def test_even_map_has_no_lamp() -> None:
    split = split_map(np.ones((32, 64, 3), dtype=np.float32))
    assert split.towards.shape == (0, 3)
    shading = shading_of(surround_of(split, np.eye(3, dtype=np.float32), WHITE), NORMALS)
    np.testing.assert_allclose(shading, 1, rtol=5e-3)


def test_surround_of_lights_keeps_their_light() -> None:
    lights = Lights(
        towards=np.stack([direction(30, 20), direction(-80, 50)]),
        colours=np.array([(1, 0.9, 0.8), (0.2, 0.3, 0.4)], dtype=np.float32),
        softness=np.array([0.02, 0.2], dtype=np.float32),
        sky=np.array([0.5, 0.6, 0.7], dtype=np.float32),
        ground=np.array([0.2, 0.15, 0.1], dtype=np.float32),
    )
    surround = surround_of_lights(lights)
    up = NORMALS[:, 1:2]
    wanted = lights.ground * (1 - up) / 2 + lights.sky * (1 + up) / 2
    np.testing.assert_allclose(basis(NORMALS) @ surround.harmonics, wanted, atol=1e-6)
    # Painted into the map that mirrors show, the lamps have the same strength.
    facing = integrated(surround.radiance, np.eye(3, dtype=np.float32), lights.towards[:1])
    smooth = (basis(lights.towards[:1]) @ surround.harmonics)[0]
    np.testing.assert_allclose(facing[0], lights.colours[0] + smooth, rtol=0.15)


@pytest.mark.parametrize("name", ["a.hdr", "a.exr"])
def test_own_maps_are_read_and_averaged(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenCV looks at this variable once, at the first EXR file of the process.
    monkeypatch.setenv("OPENCV_IO_ENABLE_OPENEXR", "1")
    pixels = np.full((64, 128, 3), (0.25, 0.5, 1.0), dtype=np.float32)  # blue first
    pixels[:, :64] *= 4
    assert cv2.imwrite(str(tmp_path / name), pixels)
    (radiance,) = read_lights(tmp_path)
    assert radiance.shape == (32, 64, 3)
    np.testing.assert_allclose(radiance[:, :32], np.tile((4.0, 2.0, 1.0), (32, 32, 1)), rtol=0.01)
    np.testing.assert_allclose(radiance[:, 32:], np.tile((1.0, 0.5, 0.25), (32, 32, 1)), rtol=0.01)


def test_read_lights_rejects_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lights must be a folder .*got .*missing"):
        read_lights(tmp_path / "missing")
    with pytest.raises(UserError, match=r"lights=.* must hold .*\.exr or \.hdr.* found none"):
        read_lights(tmp_path)


def test_read_lights_rejects_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "b.exr").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"b\.exr must be .*decode"):
        read_lights(tmp_path)


def test_read_lights_rejects_square_map(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "c.hdr"), np.ones((64, 64, 3), dtype=np.float32))
    with pytest.raises(UserError, match=r"c\.hdr must be .*\(64, 64, 3"):
        read_lights(tmp_path)


def test_pictures_under_single_lamps_add_up_to_one_under_both(studio: Studio) -> None:
    rng = np.random.default_rng(5)
    hair = draw_hair(rng)
    head, look = studio.model.sample(rng, {}), draw_look(rng, hair)
    camera = frame_face(head, studio.builder.surface, rotation_matrix(5, 0, 0), 150.0, 96)
    studio.renderer.load(studio.builder.build(head, hair))
    left, right = flash(40, 170), flash(35, 20)
    both = Lights(
        towards=np.concatenate([left.towards, right.towards]),
        colours=np.concatenate([left.colours, right.colours]),
        softness=np.concatenate([left.softness, right.softness]),
        sky=left.sky + right.sky,
        ground=left.ground + right.ground,
    )
    one, other, wanted = (
        studio.renderer.render(camera, lights, look, (96, 96)).colour
        for lights in (left, right, both)
    )
    bright = float(np.quantile(wanted, 0.99))
    off = np.abs(one + other - wanted) / bright
    # Edges are smoothed where the picture at hand has some, so pixels at a shadow's edge differ.
    assert float(np.median(off[wanted > 0.05 * bright])) < 1e-3
    assert float(off.mean()) < 0.005
    assert float(np.abs(one - other).mean() / bright) > 0.05  # the lamps are not alike
