"""Faces followed by their boxes."""

import numpy as np
from facegeo.predict.one_euro import OneEuro, Smoother

from facegeo.predict.photo import Face
from facegeo.predict.tracks import PATIENCE, Tracks

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


def test_what_is_seen_once_is_not_held() -> None:
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
