"""Videos: every frame done, faces followed, films written, damaged files reported."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.predict.detectors import Detect
from facegeo.predict.folders import Source, open_output
from facegeo.predict.photo import Boxes, Image
from facegeo.predict.points import FindPoints
from facegeo.predict.predictor import Predictor
from facegeo.predict.results import Settings
from facegeo.predict.tracks import OneEuro
from facegeo.predict.video import Watched, opened, watch

Film = Callable[..., Path]
OPEN = cv2.VideoCapture


@pytest.fixture
def moving(face: Image) -> list[Image]:
    """Eleven frames, in which the face moves to the right by three pixels each."""
    frames = [np.full((96, 160, 3), 80, np.uint8) for _ in range(11)]
    for number, frame in enumerate(frames):
        frame[:, 3 * number : 3 * number + 96] = face
    return frames


class Following:
    """A detector that knows where the face of ``moving`` is, and loses it in frame 4."""

    def __call__(self, image: Image, name: str, frame: int | None) -> Boxes:
        assert name == "clip.avi"
        left = int((np.abs(image.astype(int) - 80).max(axis=(0, 2)) > 40).argmax())
        number = round(left / 3)
        assert abs(number - (frame or 0)) <= 1  # the last frame of a torn video repeats
        boxes = np.array([[20.0 + left, 72 + left, 22, 74]])
        return boxes[:0] if number == 4 else boxes


def sideways(path: str) -> cv2.VideoCapture:
    """A video that is not turned unless it is asked to be, as in OpenCV 4.11."""
    capture = OPEN(path)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    return capture


def test_phone_videos_are_turned_as_their_tag_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, (width, height) = tmp_path / "phone.mp4", (160, 96)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (width, height))
    frame = np.zeros((height, width, 3), np.uint8)
    frame[: height // 2, : width // 2] = 255
    writer.write(frame)
    writer.release()
    file = bytearray(path.read_bytes())
    turned = (0, 1 << 16, 0, -1 << 16, 0, 0, height << 16, 0, 1 << 30)  # clockwise, ISO 14496-12
    struct.pack_into(">9i", file, file.index(b"tkhd") + 44, *turned)
    path.write_bytes(file)
    monkeypatch.setattr(cv2, "VideoCapture", sideways)
    with opened(path) as clip:
        read = clip.read()
    assert read is not None
    image, _ = read
    assert image.shape == (width, height, 3)
    corners = [image[y, x, 0] > 128 for y, x in ((4, 4), (4, -5), (-5, 4), (-5, -5))]
    assert corners == [False, True, False, False]


def nobody(*image: object) -> Boxes:
    return np.zeros((0, 4))


def run(
    path: Path,
    find_points: FindPoints,
    batch: int = 8,
    smooth: OneEuro | None = None,
    detect: Detect | None = None,
) -> Watched:
    """Watch a video and write to the folder "out" beside it."""
    done: list[tuple[int, int]] = []
    seen, tick = Watched(), lambda *numbers: done.append(numbers)
    predictor, settings = (
        Predictor(find_points, detect or Following()),
        Settings(batch, smooth=smooth),
    )
    with open_output(path.parent / "out") as out:
        watch(Source(path, "clip.avi"), out, predictor, settings, tick, seen)
    assert done[-1][0] == seen.frames
    return seen


def test_every_frame_is_predicted_and_drawn(
    tmp_path: Path, moving: list[Image], film: Film, find_points: FindPoints
) -> None:
    seen = run(film(tmp_path / "clip.avi", moving), find_points, batch=4)
    assert seen.frames == len(seen.rows) == 11
    assert seen.fault == ""
    rows = [row.split(",") for row in seen.rows]
    assert [row[:3] for row in rows] == [["clip.avi", str(number), "0"] for number in range(11)]
    assert [number for number, row in enumerate(rows) if row[-1] == "0"] == [4]  # lost, and held
    frames = json.loads((tmp_path / "out/clip.avi.json").read_text())["frames"]
    assert [n for n, frame in enumerate(frames) if not frame["faces"][0]["detected"]] == [4]
    assert [frame["seconds"] for frame in frames] == [number / 25 for number in range(11)]
    nose = np.array([float(row[11]) for row in rows])
    steps = np.diff(np.delete(nose, 4))
    np.testing.assert_allclose(np.delete(steps, 3), 3, atol=1)
    with opened(tmp_path / "out/clip.avi.points.mp4") as written:
        assert written.frames == 11
        assert written.rate == 25
        read = written.read()
    assert read is not None
    frame, seconds = read
    assert seconds == 0
    assert frame.shape == (96, 160, 3)
    assert np.abs(frame.astype(int) - moving[0]).max() > 100  # white lines of the box


@pytest.mark.parametrize("smooth", [None, OneEuro()])
def test_the_size_of_a_batch_changes_nothing(
    tmp_path: Path,
    moving: list[Image],
    film: Film,
    find_points: FindPoints,
    smooth: OneEuro | None,
) -> None:
    path = film(tmp_path / "clip.avi", moving)
    rows = [run(path, find_points, batch, smooth).rows for batch in (1, 4, 16)]
    for other in rows[1:]:
        got, wanted = (np.loadtxt(some, str, delimiter=",") for some in (other, rows[0]))
        got, wanted = got[:, 3:].astype(float), wanted[:, 3:].astype(float)
        np.testing.assert_allclose(got, wanted, atol=2e-3)


def test_a_truncated_video_is_processed_up_to_the_damage_and_reported(
    tmp_path: Path, moving: list[Image], film: Film, find_points: FindPoints
) -> None:
    path = film(tmp_path / "clip.avi", moving)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    seen = run(path, find_points, batch=4)
    assert 2 < seen.frames < 9
    assert seen.fault == f"stops in the middle: {seen.frames} of 11 frames were done"
    assert (tmp_path / "out/clip.avi.json").is_file()


def test_files_that_are_not_videos_are_refused(tmp_path: Path, find_points: FindPoints) -> None:
    (tmp_path / "clip.avi").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"clip\.avi: wanted a video, got .* OpenCV cannot open"):
        run(tmp_path / "clip.avi", find_points)


def test_a_video_of_odd_size_loses_its_last_line(
    tmp_path: Path, face: Image, film: Film, find_points: FindPoints
) -> None:
    path = film(tmp_path / "clip.avi", [face[:95, :93]] * 2)
    assert run(path, find_points, detect=nobody).rows == []
    written = cv2.VideoCapture(str(tmp_path / "out/clip.avi.points.mp4"))
    assert written.get(cv2.CAP_PROP_FRAME_HEIGHT) == 94
    assert written.get(cv2.CAP_PROP_FRAME_WIDTH) == 92


def test_colours_are_seen_and_written_as_they_are(
    tmp_path: Path, film: Film, find_points: FindPoints
) -> None:
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:, :48], frame[:, 48:] = (220, 30, 20), (20, 40, 230)
    shown: list[Image] = []

    def detect(image: Image, name: str, frame: int | None) -> Boxes:
        shown.append(image)
        return np.zeros((0, 4))

    run(film(tmp_path / "clip.avi", [frame] * 2), find_points, detect=detect)
    with opened(tmp_path / "out/clip.avi.points.mp4") as written:
        read = written.read()
    assert read is not None
    for image in (shown[0], read[0]):
        assert np.abs(image[8:-8, [10, 80]].astype(int) - frame[8:-8, [10, 80]]).max() < 30


class Capture:
    """A video of four frames that has the given rate and times."""

    def __init__(self, rate: float, times_ms: list[float]) -> None:
        self.rate, self.times, self.at = rate, times_ms, -1

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def read(self) -> tuple[bool, Image]:
        self.at += 1
        return self.at < 4, np.zeros((4, 4, 3), np.uint8)

    def get(self, key: int) -> float:
        said = {cv2.CAP_PROP_FPS: self.rate, cv2.CAP_PROP_FRAME_COUNT: -1.0}
        return self.times[self.at] if key == cv2.CAP_PROP_POS_MSEC else said[key]

    def set(self, key: int, value: float) -> bool:
        return True

    def release(self) -> None: ...


@pytest.mark.parametrize(
    ("rate", "times_ms", "seconds"),
    [
        (50, [0, 15, 100, 130], [0, 0.015, 0.1, 0.13]),
        (50, [0, 0, 0, 0], [0, 0.02, 0.04, 0.06]),
        (50, [0, np.nan, 1e12, -5], [0, 0.02, 0.04, 0.06]),
        (50, [40, 60, 30, 100], [0.04, 0.06, 0.08, 0.1]),
        (0, [0, 0, 0, 0], [0, 0.04, 0.08, 0.12]),
        (np.nan, [0, 0, 0, 0], [0, 0.04, 0.08, 0.12]),
        (90000, [0, 0, 0, 0], [0, 0.04, 0.08, 0.12]),
    ],
)
def test_frames_have_the_videos_timestamps_if_valid(
    monkeypatch: pytest.MonkeyPatch, rate: float, times_ms: list[float], seconds: list[float]
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda path: Capture(rate, times_ms))
    with opened(Path("clip.mp4")) as clip:
        assert clip.rate == (rate if rate == 50 else 25)
        assert clip.frames == 0
        read = [frame[1] for _ in range(4) if (frame := clip.read()) is not None]
        assert clip.read() is None
    np.testing.assert_allclose(read, seconds)


@pytest.mark.parametrize(
    ("rate", "wanted"),
    [(23.976, 23.976), (65.5, 66), (119.937, 120), (239.7612, 240), (999.99, 1000)],
)
def test_films_of_fast_videos_can_be_written(
    tmp_path: Path, find_points: FindPoints, rate: float, wanted: float
) -> None:
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), rate, (32, 32)
    )
    for _ in range(3):
        writer.write(np.zeros((32, 32, 3), np.uint8))
    writer.release()
    run(tmp_path / "clip.avi", find_points, detect=nobody)
    with opened(tmp_path / "out/clip.avi.points.mp4") as film:
        assert film.rate == pytest.approx(wanted, abs=1e-2)
