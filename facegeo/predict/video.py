"""A video, frame by frame: read ahead, its faces followed, what was found drawn into another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facegeo.errors import UserError
from facegeo.predict.drawing import draw_normals, draw_points
from facegeo.predict.face import Face, Image
from facegeo.predict.folder import OutputFolder
from facegeo.predict.one_euro import OneEuro
from facegeo.predict.predictor import Predictor
from facegeo.predict.results import Looks, rows_of, video_json
from facegeo.predict.sources import Source
from facegeo.predict.surfaces import ROTATING, draw_relit
from facegeo.predict.tracks import Tracks

USUAL_RATE = 25.0
"""Frames a second of a video that does not say."""
WHOLE = 0.9
"""Least share of the frames that a video says it has; containers only estimate their number."""


@dataclass
class Clip:
    """What a video says of itself, and its frames.

    Attributes:
        rate: Frames a second.
        frames: How many there should be, 0 if it does not say.
        read: Returns the next frame, RGB, None after the last.
    """

    rate: float
    frames: int
    read: Callable[[], Image | None]


@dataclass
class Watched:
    """What came of a video.

    Attributes:
        frames: Frames seen.
        rows: A row of the list of points for each face of each frame.
        best: The frame that shows most faces, and these.
        fault: What was wrong with it, although all that could be read was done; or empty.
    """

    frames: int = 0
    rows: list[list[object]] = field(default_factory=list)
    best: tuple[Image, list[Face]] | None = None
    fault: str = ""


def watch(
    source: Source,
    out: OutputFolder,
    predictor: Predictor,
    batch: int,
    looks: Looks,
    smooth: OneEuro | None,
    tick: Callable[[int, int], None],
) -> Watched:
    """Find faces in every frame; write ``.json``, ``.points.mp4`` and, with normals, their films.

    Args:
        source: The video.
        out: Gets the files.
        predictor: Finds faces.
        batch: Frames that run at once.
        looks: What is made of normals: only light, of a video.
        smooth: How to smooth boxes and points; None: not at all.
        tick: Called with the frames done and those that there should be.

    Raises:
        UserError: If the video can not be opened, holds no frame, or a file can not be written.
    """
    seen, tracks, records = Watched(), Tracks(smooth), list[dict[str, Any]]()
    with opened(source.path) as clip, _films(out, source.name, clip.rate) as film:
        for frames in _in_batches(clip, batch):
            times = [(seen.frames + number) / clip.rate for number in range(len(frames))]
            for frame, time, (numbers, faces) in zip(
                frames, times, _predict(source.name, frames, times, predictor, tracks), strict=True
            ):
                film(".points", draw_points(frame, faces, [str(number) for number in numbers]))
                if predictor.find_normals is not None:
                    film(".normals", draw_normals(frame, faces))
                    if looks.relight not in (None, ROTATING):
                        film(".relit", draw_relit(frame, faces, str(looks.relight)))
                records.append(_record(seen.frames, time, numbers, faces))
                seen.rows += rows_of(source.name, faces, seen.frames, numbers)
                if seen.best is None or len(faces) > len(seen.best[1]):
                    seen.best = (frame, faces)
                seen.frames += 1
            tick(seen.frames, clip.frames)
        if seen.best is None:
            raise UserError(f"{source.path}: wanted a video, got one without a readable frame")
        if seen.frames < WHOLE * clip.frames:
            seen.fault = f"stops in the middle: {seen.frames} of {clip.frames} frames were done"
        out.write(
            f"{source.name}.json",
            video_json(source.name, seen.best[0].shape[:2], clip.rate, records),
        )
    return seen


@contextmanager
def opened(path: Path) -> Iterator[Clip]:
    """Open a video; OpenCV turns its frames as their rotation tag says.

    Raises:
        UserError: If OpenCV can not read it.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise UserError(
                f"{path}: wanted a video, got {path.stat().st_size} bytes that are none"
            )

        def read() -> Image | None:
            more, frame = capture.read()
            return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8) if more else None

        rate = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        sound_rate = rate if np.isfinite(rate) and 0 < rate < 1000 else USUAL_RATE
        yield Clip(sound_rate, int(count) if np.isfinite(count) and count > 0 else 0, read)
    finally:
        capture.release()


def _in_batches(clip: Clip, batch: int) -> Iterator[list[Image]]:
    """Frames in order; the next batch is read while one is worked on."""

    def some() -> list[Image]:
        frames: list[Image] = []
        while len(frames) < batch and (frame := clip.read()) is not None:
            frames.append(frame)
        return frames

    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(some)
        while frames := ahead.result():
            ahead = reader.submit(some)
            yield frames


def _predict(
    name: str, frames: Sequence[Image], times: Sequence[float], predictor: Predictor, tracks: Tracks
) -> Iterator[tuple[list[int], list[Face]]]:
    """Numbers of the tracks, and faces, of each frame."""
    with ThreadPoolExecutor() as pool:
        detected = list(pool.map(lambda frame: predictor.boxes_of(frame, name=name), frames))
    followed = [tracks.follow(boxes, time) for boxes, time in zip(detected, times, strict=True)]
    found = predictor.in_boxes(frames, [boxes for _, boxes in followed])
    for time, (own, _), faces in zip(times, followed, found, strict=True):
        yield [track.number for track in own], tracks.settle(own, faces, time)


@contextmanager
def _films(out: OutputFolder, name: str, rate: float) -> Iterator[Callable[[str, Image], None]]:
    """Yield what adds a frame to the film of a kind; films begin with their first frame."""
    writers: dict[str, cv2.VideoWriter] = {}

    def add(kind: str, frame: Image) -> None:
        height, width = (side - side % 2 for side in frame.shape[:2])  # the codec wants pairs
        if kind not in writers:
            path = out.claim(f"{name}{kind}.mp4")
            code = cv2.VideoWriter.fourcc(*"mp4v")
            writers[kind] = cv2.VideoWriter(str(path), code, rate, (width, height))
            if not writers[kind].isOpened():
                raise UserError(f"{path} can not be written by this OpenCV (codec mp4v)")
        writers[kind].write(cv2.cvtColor(frame[:height, :width], cv2.COLOR_RGB2BGR))

    try:
        yield add
    finally:
        for writer in writers.values():
            writer.release()


def _record(
    number: int, seconds: float, tracks: Sequence[int], faces: Sequence[Face]
) -> dict[str, Any]:
    told = [{"track": t, **face.record()} for t, face in zip(tracks, faces, strict=True)]
    return {"frame": number, "seconds": round(seconds, 4), "faces": told}
