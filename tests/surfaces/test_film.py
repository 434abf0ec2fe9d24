"""Films of a light that turns: frames, time, and that the light moves."""

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facegeo.surfaces.relight import rotating_light

Ball = tuple[NDArray[np.float32], NDArray[np.bool_]]


def gif_frames(data: bytes, folder: Path) -> list[NDArray[np.uint8]]:
    with Image.open(BytesIO(data)) as film:
        assert film.info["loop"] == 0
        frames = []
        for number in range(film.n_frames):
            film.seek(number)
            assert film.info["duration"] == 80
            frames.append(np.asarray(film.convert("RGB")))
    return frames


def mp4_frames(data: bytes, folder: Path) -> list[NDArray[np.uint8]]:
    path = folder / "film.mp4"
    path.write_bytes(data)
    film, frames = cv2.VideoCapture(str(path)), []
    assert film.get(cv2.CAP_PROP_FPS) == 12
    while True:
        more, frame = film.read()
        if not more:
            return frames
        frames.append(frame[..., ::-1])


READ = {"gif": gif_frames, "mp4": mp4_frames}


def brightest(frame: NDArray[np.uint8]) -> tuple[float, float]:
    """Where the light falls, (right, up) from the middle."""
    grey = frame.astype(float).mean(axis=2)
    row, column = np.nonzero(grey > 0.9 * grey.max())
    return float(column.mean() - 32), float(32 - row.mean())


@pytest.mark.parametrize("kind", READ)
def test_the_light_goes_round_the_face_clockwise(tmp_path: Path, ball: Ball, kind: str) -> None:
    normals, mask = ball
    frames = READ[kind](rotating_light(kind, normals, None, mask, frames=8), tmp_path)
    assert len(frames) == 8
    spots = np.array([brightest(frame) for frame in frames])
    angles = np.degrees(np.arctan2(spots[:, 0], spots[:, 1]))  # 0 above, 90 on the right
    turns = (angles - np.arange(8) * 45 + 180) % 360 - 180
    assert np.abs(turns).max() < 10
    assert np.hypot(*spots.T).min() > 12  # of 32: the light stands 45 degrees off


@pytest.mark.parametrize("kind", READ)
def test_colours_of_the_skin_survive(tmp_path: Path, ball: Ball, kind: str) -> None:
    normals, mask = ball
    photo = np.broadcast_to(np.array([0.8, 0.6, 0.5], np.float32), normals.shape)
    film = rotating_light(kind, normals, photo, mask, frames=3)
    red, green, blue = READ[kind](film, tmp_path)[0][16, 32].astype(int)
    assert red > green + 20
    assert green > blue + 8


def test_a_gif_is_as_near_as_256_colours_allow(tmp_path: Path, ball: Ball) -> None:
    normals, mask = ball
    film = rotating_light("gif", normals, None, mask, frames=4)
    grey = np.maximum(normals @ np.array([0, 0.5**0.5, 0.5**0.5]), 0) + 0.06
    wanted = np.rint(255 * (grey * mask).clip(0, 1))
    away = np.abs(gif_frames(film, tmp_path)[0].mean(axis=2) - wanted)
    assert away.max() < 6


def test_other_kinds_and_no_frames_are_refused(ball: Ball) -> None:
    normals, mask = ball
    with pytest.raises(ValueError, match="kind must be one of gif, mp4; got 'webm'"):
        rotating_light("webm", normals, None, mask)
    with pytest.raises(ValueError, match=r"frames must be in \[1, inf\], got 0"):
        rotating_light("gif", normals, None, mask, frames=0)
