"""Faces followed through a video by the overlap of their boxes, and smoothed over time."""

from dataclasses import dataclass, replace
from math import pi
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from facegeo.checks import checked
from facegeo.predict.boxes import overlap
from facegeo.predict.photo import Boxes, Face

Values = npt.NDArray[np.float64]
LEAST_HZ = 1e-3
"""Least cut-off frequency; with a lower one a value never arrives."""


@checked(prefix="one_euro.", strict=True)
@dataclass(frozen=True)
class OneEuro:
    """Settings of the one-euro filter: steady where a face rests, quick where it moves.

    Casiez, Roussel, Vogel: 1 Euro Filter, CHI 2012, Sec. 3 and Appendix A.

    With the defaults, points of a face 79 px wide that jitter by 0.34 px a frame, as at rest in a
    noisy video, jitter by 0.07, and are 0.5 px off while the face swings at up to a box width a
    second (white noise, 25 frames a second; ``tests/predict/test_tracks.py``).

    Attributes:
        min_cutoff: Cut-off frequency at rest, Hz: lower is steadier, and later.
        beta: What is added to it, Hz for each box width a second: higher follows faster.
        speed_cutoff: Cut-off frequency of the speed itself, Hz (paper: 1).
    """

    min_cutoff: Annotated[float, Field(ge=LEAST_HZ)] = 1.0
    beta: Annotated[float, Field(ge=0)] = 30.0
    speed_cutoff: Annotated[float, Field(ge=LEAST_HZ)] = 1.0


class Smoother:
    """Filters one series of values, each number separately."""

    def __init__(self, how: OneEuro) -> None:
        self.how = how
        self._last: tuple[float, Values, Values] | None = None  # time, speed, smooth

    def __call__(self, values: Values, seconds: float, unit: float = 1.0) -> Values:
        """Return the next values, smoothed; the first are returned as they are.

        Speed is measured from the last smoothed value to the new one, as in the paper's listing;
        measured between raw values it would lag more and be no steadier.

        Args:
            values: Any shape, always the same.
            seconds: Time of these values, later than that of the last.
            unit: Unit of length for speeds, such as the width of the face's box.
        """
        if self._last is None:
            self._last = (seconds, np.zeros_like(values), values)
            return values
        time, speed, smooth = self._last
        step = seconds - time
        now = (values - smooth) / step / unit
        speed = _blend(now, speed, _weight(self.how.speed_cutoff, step))
        cutoff = self.how.min_cutoff + self.how.beta * np.abs(speed)
        smooth = _blend(values, smooth, _weight(cutoff, step))
        self._last = (seconds, speed, smooth)
        return smooth


def _weight(cutoff: Values | float, step: float) -> Values | float:
    """Return alpha of a low-pass filter: 1 / (1 + tau / T), tau = 1 / (2 pi f)."""
    return 1 / (1 + 1 / (2 * pi * cutoff * step))


def _blend(new: Values, old: Values, weight: Values | float) -> Values:
    return weight * new + (1 - weight) * old


SAME = 0.3
"""Least overlap (IoU) of two frames' boxes of one face."""
PATIENCE = 5
"""Frames for which a face that the detector loses keeps its place, if it was detected twice: a
detection in a single frame is often not a face."""


class Seen(NamedTuple):
    """A track's number, and whether the detector found it in a frame; else its last box is used."""

    number: int
    detected: bool


@dataclass
class Track:
    """One face through the frames.

    Attributes:
        number: From 0, in order of appearance.
        box: In the last frame, (4,).
        smooth_box: Smooths its boxes, if given.
        smooth_points: Smooths its points, if given.
        lost: Frames since the detector last found it.
        sightings: Frames in which the detector found it.
    """

    number: int
    box: Boxes
    smooth_box: Smoother | None = None
    smooth_points: Smoother | None = None
    lost: int = 0
    sightings: int = 1

    def seen(self) -> Seen:
        """Return its state in the last frame."""
        return Seen(self.number, not self.lost)


class Tracks:
    """The faces of a video, frame by frame.

    Args:
        smooth: How to smooth boxes and points; None: no smoothing.
    """

    def __init__(self, smooth: OneEuro | None = None) -> None:
        self.smooth, self._tracks, self._count = smooth, list[Track](), 0

    def follow(self, boxes: Boxes, seconds: float) -> tuple[list[Track], Boxes]:
        """Assign the boxes of the next frame to tracks.

        The pair that overlaps most is joined first. A face that the detector loses keeps its last
        box for ``PATIENCE`` frames, if it was detected in two.

        Args:
            boxes: Detected, (F, 4).
            seconds: Time of the frame.

        Returns:
            The tracks in the frame, and a box of each, smoothed if asked for.
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
        self._tracks = [
            track
            for track in self._tracks
            if track.lost <= (PATIENCE if track.sightings > 1 else 0)
        ]
        for column in sorted(free):
            smoothers = (Smoother(self.smooth), Smoother(self.smooth)) if self.smooth else ()
            self._tracks.append(Track(self._count, boxes[column], *smoothers))
            self._count += 1
        places = [
            track.box
            if track.smooth_box is None
            else track.smooth_box(track.box, seconds, float(track.box[1] - track.box[0]))
            for track in self._tracks
        ]
        return self._tracks[:], np.array(places).reshape(-1, 4)

    def settle(self, tracks: list[Track], faces: list[Face], seconds: float) -> list[Face]:
        """Return the faces found in the boxes of ``follow``, with smoothed points if asked for."""
        settled = []
        for track, face in zip(tracks, faces, strict=True):
            if track.smooth_points is not None:
                width = face.box[1] - face.box[0]
                stages = track.smooth_points(face.stages.astype(np.float64), seconds, width)
                face = replace(face, stages=stages.astype(np.float32))
            settled.append(face)
        return settled
