"""Light from environment maps: nothing is lost when a map is taken apart, and files are checked."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.rendering.environment import (
    LUMINANCE,
    basis,
    map_grid,
    shading_of,
    split_map,
    surround_of,
    surround_of_lights,
)
from facegeo.rendering.head_model import Floats
from facegeo.rendering.light_files import read_lights
from facegeo.rendering.open_sky import even_directions
from facegeo.rendering.scene import Lights, direction, rotation_matrix

NORMALS = even_directions(200)
WHITE = np.ones(3, dtype=np.float32)


def integrated(radiance: Floats, to_camera: Floats, normals: Floats) -> Floats:
    """Sum a map over the hemisphere of each normal: irradiance over pi, shape (N, 3)."""
    directions, solid = map_grid(*radiance.shape[:2])
    cosine = (normals @ (directions.reshape(-1, 3) @ to_camera.T).T).clip(0)
    return (cosine * solid.ravel()) @ radiance.reshape(-1, 3) / np.pi


@pytest.mark.parametrize("number", range(18))
def test_lamps_and_surround_of_a_map_shade_a_ball_as_the_map_does(number: int) -> None:
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


def test_a_sun_becomes_a_lamp_of_its_direction_and_strength() -> None:
    directions, solid = map_grid()
    radiance = np.full((32, 64, 3), 0.1, dtype=np.float32)
    radiance[8, 40] += 50.0
    split = split_map(radiance)
    assert len(split.softness) == 1
    np.testing.assert_allclose(split.towards[0], directions[8, 40], atol=1e-4)
    np.testing.assert_allclose(split.colours[0], 50 * solid[8, 40] / np.pi, rtol=1e-4)
    np.testing.assert_allclose(split.rest, 0.1, atol=1e-5)


def test_a_map_without_a_spot_has_no_lamp() -> None:
    split = split_map(np.ones((32, 64, 3), dtype=np.float32))
    assert split.towards.shape == (0, 3)
    shading = shading_of(surround_of(split, np.eye(3, dtype=np.float32), WHITE), NORMALS)
    np.testing.assert_allclose(shading, 1, rtol=5e-3)


def test_lamps_of_today_keep_their_light_as_a_surround() -> None:
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


def test_a_folder_that_is_none_or_has_no_map_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lights must be a folder of environment maps, got .*none"):
        read_lights(tmp_path / "none")
    with pytest.raises(
        UserError, match=r"must hold environment maps \(\.exr or \.hdr\), found non"
    ):
        read_lights(tmp_path)


def test_a_file_that_is_no_map_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.exr").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"b\.exr must be an equirectangular map.*replace or remov"):
        read_lights(tmp_path)


def test_a_square_map_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "c.hdr"), np.ones((64, 64, 3), dtype=np.float32))
    with pytest.raises(UserError, match=r"twice as wide as high.*got float32 of shape \(64, 64, 3"):
        read_lights(tmp_path)
