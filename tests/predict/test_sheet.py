"""A tile shows its face, with the points where they are on it."""

import cv2
import numpy as np
import pytest

from facegeo.predict.drawing import STAGES, TILE_PX, Sheet
from facegeo.predict.photo import JPEG_PX, Face, write_jpeg

POINTS = np.array([[[50.0, 60], [90, 60], [70, 80], [55, 100], [85, 100]]], np.float32)


def sheet(photo: np.ndarray, face: Face) -> np.ndarray:
    shown = Sheet()
    shown.add(photo, [face])
    return cv2.imdecode(np.frombuffer(shown.jpeg(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("moved", [0, -40], ids=["inside", "sticks out"])
def test_points_are_at_their_positions_on_the_photo(moved: int) -> None:
    """White squares of 9 px under the points: each dot is drawn in the middle of its square."""
    photo = np.zeros((160, 200, 3), np.uint8)
    points = POINTS + moved
    for x, y in points[0].astype(int):
        photo[y - 4 : y + 5, x - 4 : x + 5] = 255
    face = Face((30 + moved, 110 + moved, 40 + moved, 120 + moved), points)
    seen = sheet(photo, face).astype(int)
    assert seen.shape == (TILE_PX, TILE_PX, 3)
    light = (seen.sum(axis=2) > 120).astype(np.uint8)  # squares with their dots, and the box
    dots = (np.abs(seen - STAGES[0]).max(axis=2) < 60).astype(np.uint8)
    dots[light == 0] = 0
    wanted = (points[0] - np.array([10, 20]) - moved + 0.5) * TILE_PX / 120 - 0.5
    places = cv2.connectedComponentsWithStats(dots)[3][1:]
    for at in wanted:
        assert np.abs(places - at).max(axis=1).min() < 1
        x, y = np.rint(at).astype(int)
        square = light[y - 9 : y + 10, x - 9 : x + 10]
        rows, columns = np.nonzero(square)
        assert abs(rows.mean() - 9) < 1
        assert abs(columns.mean() - 9) < 1


def test_a_box_far_larger_than_its_photo_is_shown_small() -> None:
    photo = np.full((100, 100, 3), 255, np.uint8)
    seen = sheet(photo, Face((-2e6, 2e6, -2e6, 2e6), POINTS))
    assert seen.shape == (TILE_PX, TILE_PX, 3)
    assert seen[20, 80].max() < 60


def test_a_picture_longer_than_a_jpeg_is_shrunk_and_colours_stay() -> None:
    red = np.zeros((2, 2 * JPEG_PX, 3), np.uint8) + np.array([250, 10, 90], np.uint8)
    seen = cv2.imdecode(np.frombuffer(write_jpeg(red), np.uint8), cv2.IMREAD_COLOR)
    assert seen.shape == (1, JPEG_PX, 3)
    assert np.abs(seen.astype(int) - [90, 10, 250]).max() < 12
