"""Which face of a frame is which of the frame before, by their boxes."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from facegeo.predict.boxes import overlap
from facegeo.predict.face import Boxes, Face
from facegeo.predict.one_euro import OneEuro, Smoother

SAME = 0.3
"""Least overlap (IoU) of two frames' boxes of one face."""
PATIENCE = 5
"""Frames for which a face that the detector loses is looked for where it last was, if it was seen
twice: what is seen in one frame alone is often no face."""


class Seen(NamedTuple):
    """What a frame knows of a track.

    Attributes:
        number: Of the track.
        detected: Whether the detector saw the face in this frame; or it is held where it was.
    """

    number: int
    detected: bool


@dataclass
class Track:
    """One face through the frames.

    Attributes:
        number: From 0, in order of appearance.
        box: In the last frame, (4,).
        lost: Frames since the detector last saw it.
        sightings: Frames in which the detector saw it.
        smooth_box: Smooths its boxes; None leaves them.
        smooth_points: Smooths its points; None leaves them.
    """

    number: int
    box: Boxes
    lost: int = 0
    sightings: int = 1
    smooth_box: Smoother | None = None
    smooth_points: Smoother | None = None

    @property
    def patience(self) -> int:
        """Frames for which it may be lost."""
        return PATIENCE if self.sightings > 1 else 0

    def seen(self) -> Seen:
        """Return what is to be told of it in the last frame."""
        return Seen(self.number, not self.lost)


class Tracks:
    """The faces of a video, frame by frame.

    Args:
        smooth: How to smooth boxes and points; None: not at all.
    """

    def __init__(self, smooth: OneEuro | None = None) -> None:
        self.smooth, self._tracks, self._count = smooth, list[Track](), 0

    def follow(self, boxes: Boxes, seconds: float) -> tuple[list[Track], Boxes]:
        """Tell whose the boxes of the next frame are.

        The pair that overlaps most is joined first. A face that the detector does not see keeps
        its last box for ``PATIENCE`` frames, if it was seen in two.

        Args:
            boxes: Detected, (F, 4).
            seconds: Time of the frame.

        Returns:
            The tracks that are in the frame, and a box of each, smoothed if that is asked for.
        """
        shares = overlap(np.array([t.box for t in self._tracks]).reshape(-1, 4), boxes)
        free = set(range(len(boxes)))
        for track in self._tracks:
            track.lost += 1
        for flat in np.argsort(-shares, axis=None, kind="stable"):
            row, column = np.unravel_index(flat, shares.shape)
            track = self._tracks[row]
            if shares[row, column] > SAME and column in free and track.lost:
                track.box, track.lost = boxes[column], 0
                track.sightings += 1
                free.remove(int(column))
        self._tracks = [track for track in self._tracks if track.lost <= track.patience]
        self._tracks += [self._new(boxes[column]) for column in sorted(free)]
        return self._tracks[:], np.array(
            [self._box(track, seconds) for track in self._tracks]
        ).reshape(-1, 4)

    def settle(self, tracks: list[Track], faces: list[Face], seconds: float) -> list[Face]:
        """Return the faces of the tracks with smoothed points, if that is asked for.

        Args:
            tracks: As ``follow`` returned them.
            faces: What was found in their boxes.
            seconds: Time of the frame.
        """
        settled = []
        for track, face in zip(tracks, faces, strict=True):
            if track.smooth_points is not None:
                width = face.box[1] - face.box[0]
                stages = track.smooth_points(face.stages.astype(np.float64), seconds, width)
                face = replace(face, stages=stages.astype(np.float32))
            settled.append(face)
        return settled

    def _new(self, box: Boxes) -> Track:
        smoothers = [None if self.smooth is None else Smoother(self.smooth) for _ in range(2)]
        self._count += 1
        smooth_box, smooth_points = smoothers
        return Track(self._count - 1, box, smooth_box=smooth_box, smooth_points=smooth_points)

    @staticmethod
    def _box(track: Track, seconds: float) -> Boxes:
        if track.smooth_box is None:
            return track.box
        return track.smooth_box(track.box, seconds, float(track.box[1] - track.box[0]))
