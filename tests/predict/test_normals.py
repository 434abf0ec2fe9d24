"""Cut-outs and masks of faces whose points are known."""

import cv2
import numpy as np
import torch

from facegeo.predict.normals import FaceNormals, face_mask, outline_of
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
