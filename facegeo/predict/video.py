"""A video, frame by frame: read ahead, its faces followed, films of the results written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from facegeo.errors import UserError
from facegeo.files.images import opencv_name
from facegeo.files.writing import write_whole
from facegeo.predict.drawing import draw_normals, draw_points
from facegeo.predict.folders import OutputFolder, Source
from facegeo.predict.photo import Boxes, Face, Image
from facegeo.predict.predictor import Predictor
from facegeo.predict.results import ROTATING, Settings, draw_relit, frame_json, rows_of, video_json
from facegeo.predict.tracks import Seen, Tracks

USUAL_RATE = 25.0
"""Frames a second of a video that does not state it."""
EXACT_RATE = 65.0
"""Faster films are written with a whole number of frames a second: OpenCV's MP4 clock has 65,535
ticks a second, a thousand a frame."""
LONGEST_S = 60.0
"""Longest duration of a frame that is believed; beyond it, or if time does not advance, a frame
lasts as long as the video's rate says."""
WHOLE = 0.9
"""Least share of its stated frames that a whole video has; containers only estimate them."""


@dataclass
class Clip:
    """An open video.

    Attributes:
        rate: Frames a second.
        frames: Stated number of frames, 0 if not stated.
        read: Returns the next frame, RGB, and its time in seconds; None after the last.
    """

    rate: float
    frames: int
    read: Callable[[], tuple[Image, float] | None]


@dataclass
class Watched:
    """Results of a video so far.

    Attributes:
        frames: Frames done.
        rows: A line of the list of points for each face of each frame.
        best: The frame with most faces, and these.
        fault: What is wrong with the video; empty if nothing.
    """

    frames: int = 0
    rows: list[str] = field(default_factory=list)
    best: tuple[Image, list[Face]] | None = None
    fault: str = ""


def watch(
    source: Source,
    out: OutputFolder,
    predictor: Predictor,
    settings: Settings,
    tick: Callable[[int, int], None],
    seen: Watched,
) -> None:
    """Find faces in every frame; write ``.json``, ``.points.mp4`` and, with normals, their films.

    Stopped by an error or by the user, it leaves films and JSON of the frames done.

    Args:
        source: The video.
        out: Gets the files.
        predictor: Finds faces.
        settings: Batch size, smoothing, films made of normals.
        tick: Called with the frames done and their stated number.
        seen: Gets the results, frame by frame.

    Raises:
        UserError: If the video cannot be opened or has no frame, or a file cannot be written.
    """
    tracks, lines = Tracks(settings.smooth), list[str]()
    written = [f"{source.name}.json"]
    with opened(source.path) as clip, _films(out, source, clip.rate, written) as film:
        try:
            for read in _in_batches(clip, settings.batch):
                found = _predict(source.name, seen.frames, read, predictor, tracks)
                for (frame, seconds), (whose, faces) in zip(read, found, strict=True):
                    film(".points", draw_points(frame, faces, [str(one.number) for one in whose]))
                    if predictor.find_normals is not None:
                        _film_normals(film, frame, faces, settings.pictures.relight)
                    lines.append(frame_json(seen.frames, seconds, whose, faces))
                    seen.rows += rows_of(source.name, faces, seen.frames, whose)
                    if seen.best is None or len(faces) > len(seen.best[1]):
                        seen.best = (frame, faces)
                    seen.frames += 1
                tick(seen.frames, clip.frames)
        finally:
            if seen.best is not None:
                text = video_json(source.name, seen.best[0].shape[:2], clip.rate, lines)
                write_whole(out.claim(source.name, written[0]), text)
                out.drop_others(source.name, written)
        if seen.best is None:
            raise UserError(f"{source.path}: wanted a video, got one without a readable frame")
        if seen.frames < WHOLE * clip.frames:
            seen.fault = f"stops in the middle: {seen.frames} of {clip.frames} frames were done"


def _film_normals(
    film: Callable[[str, Image], None], frame: Image, faces: Sequence[Face], relight: str | None
) -> None:
    film(".normals", draw_normals(frame, faces))
    if relight not in (None, ROTATING):
        film(".relit", draw_relit(frame, faces, str(relight)))


@contextmanager
def opened(path: Path) -> Iterator[Clip]:
    """Open a video; OpenCV turns its frames as their rotation tag says.

    Raises:
        UserError: If OpenCV cannot read it.
    """
    with ExitStack() as stack:
        capture = cv2.VideoCapture(stack.enter_context(opencv_name(path)))
        stack.callback(capture.release)
        if not capture.isOpened():
            raise UserError(f"{path}: wanted a video, got a file that OpenCV cannot open")
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # off by default in OpenCV 4.11
        rate = capture.get(cv2.CAP_PROP_FPS)
        rate = rate if np.isfinite(rate) and 0 < rate <= 1000 else USUAL_RATE
        last = -1 / rate

        def read() -> tuple[Image, float] | None:
            nonlocal last
            more, frame = capture.read()
            if not more:
                return None
            stated = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            last = stated if last < stated < last + LONGEST_S else last + 1 / rate
            return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8), last

        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        yield Clip(rate, int(count) if np.isfinite(count) and count > 0 else 0, read)


def _in_batches(clip: Clip, batch: int) -> Iterator[list[tuple[Image, float]]]:
    """Frames in order; the next batch is read while the last is predicted."""

    def some() -> list[tuple[Image, float]]:
        frames: list[tuple[Image, float]] = []
        while len(frames) < batch and (frame := clip.read()) is not None:
            frames.append(frame)
        return frames

    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(some)
        while frames := ahead.result():
            ahead = reader.submit(some)
            yield frames


def _predict(
    name: str,
    first: int,
    read: Sequence[tuple[Image, float]],
    predictor: Predictor,
    tracks: Tracks,
) -> Iterator[tuple[list[Seen], list[Face]]]:
    """Tracks and faces of each frame from the ``first`` on."""

    def detect(number: int) -> Boxes:
        return predictor.boxes_of(read[number][0], name=name, frame=first + number)

    with ThreadPoolExecutor() as pool:
        detected = list(pool.map(detect, range(len(read))))
    followed = []
    for (_, seconds), boxes in zip(read, detected, strict=True):
        own, places = tracks.follow(boxes, seconds)
        followed.append((own, [track.seen() for track in own], places))
    found = predictor.in_boxes([frame for frame, _ in read], [boxes for *_, boxes in followed])
    for (_, seconds), (own, whose, _), faces in zip(read, followed, found, strict=True):
        yield whose, tracks.settle(own, faces, seconds)


@contextmanager
def _films(
    out: OutputFolder, source: Source, rate: float, names: list[str]
) -> Iterator[Callable[[str, Image], None]]:
    """Yield a function that adds a frame to the film of a kind; list each film in ``names``."""
    writers: dict[str, cv2.VideoWriter] = {}
    rate = rate if rate <= EXACT_RATE else round(rate)
    stack = ExitStack()

    def add(kind: str, frame: Image) -> None:
        height, width = (side - side % 2 for side in frame.shape[:2])  # the codec needs even sides
        if kind not in writers:
            names.append(f"{source.name}{kind}.mp4")
            path = out.claim(source.name, names[-1])
            code, file = cv2.VideoWriter.fourcc(*"mp4v"), stack.enter_context(opencv_name(path))
            writers[kind] = cv2.VideoWriter(file, code, rate, (width, height))
            stack.callback(writers[kind].release)
            if not writers[kind].isOpened():
                raise UserError(f"{path} cannot be written by this OpenCV (codec mp4v)")
        writers[kind].write(cv2.cvtColor(frame[:height, :width], cv2.COLOR_RGB2BGR))

    with stack:
        yield add
