"""Boxes: mapped, computed from points, compared, refused."""

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.predict.boxes import (
    MEAN_SHAPE,
    BoxMapping,
    box_of_points,
    check_boxes,
    overlap,
)


def test_a_mapping_moves_by_sides_and_scales_about_the_middle() -> None:
    mapped = BoxMapping(right=0.1, down=-0.2, scale=0.5)(np.array([[10.0, 30, 100, 140]]))
    # middle (20, 120) -> (22, 112); sides 20 and 40, their mean 30 -> 15
    np.testing.assert_allclose(mapped, [[14.5, 29.5, 104.5, 119.5]])


def test_points_of_the_mean_shape_give_their_box_at_any_rotation() -> None:
    box = np.array([20.0, 60, 30, 70])
    points = box[[0, 2]] + 40 * MEAN_SHAPE
    middle = points.mean(axis=0)
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    turned = (points - middle) @ turn.T + middle
    for shape in (points, turned):
        np.testing.assert_allclose(box_of_points(shape[None]), box[None])


def test_overlap_is_intersection_over_union_of_all_pairs() -> None:
    boxes = np.array([[0.0, 10, 0, 10], [5, 15, 0, 10]])
    others = np.array([[0.0, 10, 0, 10], [20, 30, 0, 10], [0, 10, 5, 10]])
    np.testing.assert_allclose(overlap(boxes, others), [[1, 0, 0.5], [1 / 3, 0, 0.2]])
    assert overlap(boxes, np.zeros((0, 4))).shape == (2, 0)


def test_a_single_box_and_no_boxes_are_accepted() -> None:
    assert check_boxes([1, 9, 2, 9], 10, 10).tolist() == [[1, 9, 2, 9]]
    assert check_boxes([], 10, 10).shape == (0, 4)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[9, 1, 2, 9]], "left < right, top < bottom; got left 9, right 1, top 2, bottom 9"),
        ([[1, 2, 2, 9]], "a box of 2 px or more"),
        ([[0, np.inf, 0, 9]], "a box of 2 px or more"),
        ([[0, np.nan, 0, 9]], "a box of 2 px or more"),
        ([[15, 30, 0, 9]], r"its middle in the 20 x 10 image, got left 15, right 30"),
        ([[0, 9, -9, 3]], r"its middle in the 20 x 10 image"),
    ],
)
def test_a_box_that_holds_no_part_of_the_image_is_refused(boxes: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_boxes(boxes, 10, 20)  # type: ignore[arg-type]


def test_boxes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(F, 4\) or \(4,\), got \(2, 3\)"):
        check_boxes(np.zeros((2, 3)), 10, 10)
