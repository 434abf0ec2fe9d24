"""The outline computed from five points."""

import numpy as np

from facegeo.predict.normals import EYES_AND_MOUTH, NOSE, OUTLINE, outline_of

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
