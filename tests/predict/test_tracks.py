"""Faces followed by their boxes; the one-euro filter against its definition."""

from math import pi

import numpy as np
import pytest

from facegeo.predict.photo import Face
from facegeo.predict.tracks import PATIENCE, OneEuro, Smoother, Tracks

A, B = [0.0, 40, 0, 40], [100.0, 140, 0, 40]


def numbers(tracks: Tracks, *boxes: list[float]) -> list[int]:
    found, _ = tracks.follow(np.array(boxes).reshape(-1, 4), 0.0)
    return [track.number for track in found]


def test_faces_keep_their_numbers_in_whatever_order_they_are_detected() -> None:
    tracks = Tracks()
    assert numbers(tracks, A, B) == [0, 1]
    followed, boxes = tracks.follow(np.array([B, A]) + 5, 0.0)
    assert [track.number for track in followed] == [0, 1]
    np.testing.assert_array_equal(boxes, np.array([A, B]) + 5)


def test_the_pair_that_overlaps_most_is_joined_first() -> None:
    tracks = Tracks()
    numbers(tracks, A)
    near, nearer = [15.0, 55, 0, 40], [5.0, 45, 0, 40]
    followed, boxes = tracks.follow(np.array([near, nearer]), 0.0)
    assert [track.number for track in followed] == [0, 1]
    assert boxes[0].tolist() == nearer


def test_boxes_that_hardly_overlap_are_of_two_faces() -> None:
    tracks = Tracks()
    for _ in range(2):
        numbers(tracks, A)
    assert numbers(tracks, [30.0, 70, 0, 40]) == [0, 1]  # IoU 1 / 7; the first face is held


def test_a_lost_face_is_held_for_some_frames_and_then_is_another() -> None:
    tracks = Tracks()
    for _ in range(2):
        numbers(tracks, A)
    for _ in range(PATIENCE):
        followed, boxes = tracks.follow(np.zeros((0, 4)), 0.0)
        assert [track.number for track in followed] == [0]
        assert boxes.tolist() == [A]
    assert numbers(tracks, A) == [0]
    for _ in range(PATIENCE + 1):
        last = numbers(tracks)
    assert last == []
    assert numbers(tracks, A) == [1]


def test_a_face_seen_once_is_not_held() -> None:
    tracks = Tracks()
    assert numbers(tracks, A) == [0]
    assert numbers(tracks) == []


def test_boxes_and_points_of_each_track_are_smoothed_by_themselves() -> None:
    how = OneEuro(min_cutoff=0.5, beta=1)
    tracks, alone = Tracks(how), [Smoother(how), Smoother(how)]
    random = np.random.default_rng(0)
    for frame in range(5):
        time = frame / 25
        given = np.array([A, B]) + random.normal(0, 1, (2, 4))
        order = [0, 1] if frame % 2 else [1, 0]
        followed, boxes = tracks.follow(given[order] if frame else given, time)
        wanted = alone[1](given[1], time, given[1][1] - given[1][0])
        np.testing.assert_allclose(boxes[1], wanted)
        stages = random.normal(0, 1, (2, 3, 5, 2)).astype(np.float32)
        faces = [Face((*box,), one) for box, one in zip(boxes.tolist(), stages, strict=True)]
        settled = tracks.settle(followed, faces, time)
        width = boxes[0][1] - boxes[0][0]
        wanted = alone[0](stages[0].astype(float), time, width)
        np.testing.assert_allclose(settled[0].stages, wanted, rtol=1e-5)
        assert settled[0].box == faces[0].box


def test_without_smoothing_points_stay_as_they_are() -> None:
    tracks = Tracks()
    followed, _ = tracks.follow(np.array([A]), 0.0)
    face = Face((0, 40, 0, 40), np.ones((3, 5, 2), np.float32))
    assert tracks.settle(followed, [face], 0.0) == [face]


def reference(values: list[float], rate: float, cutoff: float, beta: float, dcut: float) -> list:
    """Casiez et al. 2012, the listing in their appendix: plain numbers, one value at a time."""

    def alpha(frequency: float) -> float:
        tau, period = 1 / (2 * pi * frequency), 1 / rate
        return 1.0 / (1.0 + tau / period)

    smooth, speed, out = values[0], 0.0, [values[0]]
    for value in values[1:]:
        speed = alpha(dcut) * (value - smooth) * rate + (1 - alpha(dcut)) * speed
        a = alpha(cutoff + beta * abs(speed))
        smooth = a * value + (1 - a) * smooth
        out.append(smooth)
    return out


def test_it_is_the_filter_of_the_paper() -> None:
    values = np.random.default_rng(0).normal(size=(30, 2)).cumsum(axis=0)
    smoother = Smoother(OneEuro(min_cutoff=1.2, beta=0.7, speed_cutoff=0.9))
    got = np.array([smoother(value, number / 25) for number, value in enumerate(values)])
    for column in range(2):
        wanted = reference(values[:, column].tolist(), 25, 1.2, 0.7, 0.9)
        np.testing.assert_allclose(got[:, column], wanted)


def test_speeds_are_counted_in_the_unit() -> None:
    """Twice the face, twice the movement: twice the answer."""
    values = np.random.default_rng(1).normal(size=(20, 3)).cumsum(axis=0)
    small, large = Smoother(OneEuro()), Smoother(OneEuro())
    for number, value in enumerate(values):
        one = small(value, number / 30, unit=1.0)
        np.testing.assert_allclose(large(2 * value, number / 30, unit=2.0), 2 * one)


def test_rest_is_steadied_and_movement_followed() -> None:
    noise = np.random.default_rng(2).normal(0, 0.004, (100, 1))
    moving = np.clip(np.arange(100) / 25 - 2, 0, None)[
        :, None
    ]  # rests two seconds, then 1 a second
    smoother = Smoother(OneEuro())
    got = np.array([smoother(v, i / 25) for i, v in enumerate(moving + noise)])
    assert np.diff(got[10:50], axis=0).std() < 0.4 * np.diff(noise[10:50], axis=0).std()
    assert np.abs(got - moving)[75:].mean() < 0.01


def test_the_defaults_behave_as_documented() -> None:
    """Jitter: mean move of a point from frame to frame; 79 px wide, half a swing a second."""

    def smooth(values: np.ndarray) -> np.ndarray:
        smoother = Smoother(OneEuro())
        return np.array([smoother(value, i / 25, 79) for i, value in enumerate(values)])[25:]

    def jitter(values: np.ndarray) -> float:
        return float(np.linalg.norm(np.diff(values, axis=0), axis=-1).mean())

    noise = np.random.default_rng(0).normal(size=(400, 5, 2))
    noise *= 0.34 / jitter(noise)
    swing = np.zeros_like(noise)
    swing[..., 0] = 79 / np.pi * np.sin(np.pi * np.arange(400) / 25)[:, None]
    assert jitter(smooth(noise)) == pytest.approx(0.07, abs=0.005)
    off = np.linalg.norm(smooth(swing + noise) - swing[25:], axis=-1)
    assert off.mean() == pytest.approx(0.5, abs=0.05)
