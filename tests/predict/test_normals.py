"""Cut-outs and masks of faces whose points are known."""

import cv2
import numpy as np
import torch

from facegeo.predict.normals import (
    EYES_AND_MOUTH,
    NOSE,
    OUTLINE,
    FaceNormals,
    face_mask,
    outline_of,
)
from facegeo.predict.photo import Face, Image


def test_points_that_are_all_alike_have_normals_too(face: Image) -> None:
    alike = Face((0, 90, 0, 90), np.full((1, 5, 2), 40, np.float32))
    (found,) = FaceNormals(lambda faces: [torch.zeros_like(faces)], 32)([face], [alike])
    assert found.square == (40, 40, 1)


def test_the_mask_in_the_cut_out_matches_the_outline_in_the_photo() -> None:
    """Filled at eight times the photo's size and averaged: half a pixel is four of these."""
    points = np.array([[55, 60], [85, 60], [70, 78], [58, 95], [82, 95]], np.float32)
    square, zoom = (25, 30, 90), 8
    corners = (outline_of(points) - square[:2] + 0.5) * zoom - 0.5
    fine = np.zeros((90 * zoom, 90 * zoom), np.uint8)
    cv2.fillConvexPoly(fine, cv2.convexHull(np.rint(corners).astype(np.int32)), 1)
    places = np.argwhere(fine).mean(axis=0)
    for size in (90, 180, 720):
        found = np.argwhere(face_mask(points, square, size)).mean(axis=0)
        np.testing.assert_allclose((found + 0.5) * 720 / size - 0.5, places, atol=1.5)


FRONT = np.insert(EYES_AND_MOUTH, 2, NOSE, axis=0)


def test_a_face_from_the_front_has_the_mean_outline_at_any_place_size_and_roll() -> None:
    np.testing.assert_allclose(outline_of(FRONT.astype(np.float32)), OUTLINE[:, :2], atol=1e-5)
    angle = 0.4
    turn = 80 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    seen = (FRONT @ turn.T + [300, 200]).astype(np.float32)
    np.testing.assert_allclose(outline_of(seen), OUTLINE[:, :2] @ turn.T + [300, 200], atol=1e-3)


def test_where_the_nose_goes_the_jaw_goes_the_other_way() -> None:
    turned = FRONT + np.array([0, 0, 1, 0, 0])[:, None] * [0.1, 0.0]
    moved = outline_of(turned.astype(np.float32)) - OUTLINE[:, :2]
    np.testing.assert_allclose(moved[:, 0], 0.1 * OUTLINE[:, 2], atol=1e-5)
    np.testing.assert_allclose(moved[:, 1], 0, atol=1e-5)
    assert moved[0, 0] < -0.1


def test_points_that_are_wrong_or_on_one_spot_give_numbers_all_the_same() -> None:
    far = FRONT + np.array([0, 0, 1, 0, 0])[:, None] * [9.0, -9.0]
    assert np.abs(outline_of(far.astype(np.float32))).max() < 2
    spot = outline_of(np.full((5, 2), 7.0, np.float32))
    np.testing.assert_allclose(spot, 7, atol=1e-6)


def test_both_halves_are_alike() -> None:
    left, right = np.split(outline_of(FRONT.astype(np.float32)), 2)
    np.testing.assert_allclose(left, right * [-1, 1], atol=1e-6)
