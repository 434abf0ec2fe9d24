"""Drawings show what was found where it was found."""

import cv2
import numpy as np
import pytest

from facegeo.predict.drawing import (
    STAGES,
    TILE_PX,
    Sheet,
    draw_normals,
    draw_points,
    draw_shading,
    enlarged,
    lay_over,
)
from facegeo.predict.photo import JPEG_PX, Face, write_jpeg

GREY = np.full((200, 300, 3), 128, np.uint8)
POINTS = np.array([[120.0, 60], [180, 60], [150, 90], [125, 120], [175, 120]], np.float32)
STEPS = np.stack([POINTS - [9, 0], POINTS - [4, 0], POINTS]).astype(np.float32)
SQUARE = (100, 40, 100)


def face(direction: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> Face:
    normals = np.zeros((50, 50, 3), np.float32) + np.array(direction, np.float32)
    mask = np.zeros((50, 50), bool)
    mask[10:40, 10:40] = True
    return Face((100, 200, 40, 140), STEPS, SQUARE, normals, mask)


def test_the_last_stage_is_a_dot_and_earlier_ones_are_rings() -> None:
    drawn = draw_points(GREY, [face()])
    for x, y in POINTS.astype(int):
        assert drawn[y, x].tolist() == list(STAGES[2])
        middle = drawn[y, x - 4].astype(int)
        assert np.abs(middle - 128).max() < 8  # of stage 2's ring: empty
        ring = drawn[y - 3 : y + 4, x - 4].reshape(-1, 3).astype(int)
        assert (np.abs(ring - STAGES[1]).max(axis=1) < 40).any()
    assert (GREY == 128).all()


def test_drawing_accepts_boxes_off_the_photo_and_nan_points() -> None:
    lost = Face((-1e9, 90, -50, 9999), np.full((1, 5, 2), np.nan, np.float32))
    assert draw_points(GREY, [lost], ["0"]).shape == GREY.shape


def test_a_face_far_to_the_right_of_a_wide_photo_is_drawn_where_it_is() -> None:
    wide = np.full((200, 12000, 3), 128, np.uint8)
    moved = Face((11700, 11800, 40, 140), STEPS + np.float32([11600, 0]))
    columns = np.nonzero((draw_points(wide, [moved]) != wide).any(axis=(0, 2)))[0]
    assert columns.min() > 11600
    assert columns.max() > 11790


def test_a_label_is_written_over_its_box() -> None:
    plain, labelled = draw_points(GREY, [face()]), draw_points(GREY, [face()], ["12"])
    rows, columns = np.nonzero((plain != labelled).any(axis=2))
    assert rows.min() > 15
    assert rows.max() < 42
    assert columns.min() >= 98


@pytest.mark.parametrize(
    ("direction", "colour"),
    [((0.0, 0.0, 1.0), (128, 128, 255)), ((1.0, 0.0, 0.0), (255, 128, 128))],
)
def test_normals_are_drawn_only_inside_the_mask(
    direction: tuple[float, float, float], colour: tuple[int, int, int]
) -> None:
    drawn = draw_normals(GREY, [face(direction)])
    assert drawn[90, 150].tolist() == list(colour)
    outside = np.ones(GREY.shape[:2], bool)
    outside[59:121, 119:181] = False
    assert (drawn[outside] == 128).all()
    assert np.abs(drawn[66:114, 126:174].astype(int) - colour).max() <= 1
    assert (drawn >= 127).all()  # no dark rim


def test_shading_is_white_towards_the_light_and_black_away_from_it() -> None:
    for direction, level in (((-(0.5**0.5), 0.0, 0.5**0.5), 255), ((1.0, 0.0, 0.0), 0)):
        assert abs(int(draw_shading(GREY, [face(direction)], "left")[90, 150, 0]) - level) <= 1


def test_faces_without_normals_stay_as_they_are() -> None:
    plain = Face((100, 200, 40, 140), STEPS)
    for draw in (draw_normals, draw_shading):
        np.testing.assert_array_equal(draw(GREY, [plain]), GREY)


def test_small_faces_are_enlarged_with_their_places() -> None:
    photo, (moved,) = enlarged(GREY, [face()])
    assert photo.shape == (600, 900, 3)  # 100 px to 240 or more
    np.testing.assert_allclose(moved.box, (301, 601, 121, 421))
    np.testing.assert_allclose(moved.points, POINTS * 3 + 1)
    same, faces = enlarged(GREY.repeat(20, axis=0), [face()])
    assert same.shape == (4000, 300, 3)
    assert faces[0].box == face().box
    assert enlarged(GREY, [])[0] is GREY


def test_pixels_fade_into_the_photo_towards_the_masks_edge() -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[8:56, 8:56] = True
    face = Face((0.0, 64.0, 0.0, 64.0), np.zeros((1, 5, 2)), square=(0, 0, 64), mask=mask)
    hard, soft = (np.zeros((64, 64, 3), np.uint8) for _ in range(2))
    white = np.full((64, 64, 3), 255, np.uint8)
    lay_over(hard, face, white)
    lay_over(soft, face, white, fade=0.25)
    row = soft[32, :33, 0].astype(int)
    assert row[:8].max() == 0
    assert (np.diff(row) >= 0).all()
    assert 0 < row[12] < row[18] < 255 == row[32]
    assert hard[32, 12, 0] == 255


ON_TILE = np.array([[[50.0, 60], [90, 60], [70, 80], [55, 100], [85, 100]]], np.float32)


def sheet(photo: np.ndarray, face: Face) -> np.ndarray:
    shown = Sheet()
    shown.add(photo, [face])
    return cv2.imdecode(np.frombuffer(shown.jpeg(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("moved", [0, -40], ids=["inside", "sticks out"])
def test_points_are_at_their_positions_on_the_photo(moved: int) -> None:
    """White squares of 9 px under the points: each dot is drawn in the middle of its square."""
    photo = np.zeros((160, 200, 3), np.uint8)
    points = ON_TILE + moved
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
    seen = sheet(photo, Face((-2e6, 2e6, -2e6, 2e6), ON_TILE))
    assert seen.shape == (TILE_PX, TILE_PX, 3)
    assert seen[20, 80].max() < 60


def test_a_picture_longer_than_a_jpeg_is_shrunk_and_colours_stay() -> None:
    red = np.zeros((2, 2 * JPEG_PX, 3), np.uint8) + np.array([250, 10, 90], np.uint8)
    seen = cv2.imdecode(np.frombuffer(write_jpeg(red), np.uint8), cv2.IMREAD_COLOR)
    assert seen.shape == (1, JPEG_PX, 3)
    assert np.abs(seen.astype(int) - [90, 10, 250]).max() < 12
