"""Videos: every frame done, faces followed, films written, torn files told."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.predict.face import Boxes, Image
from facegeo.predict.folder import OutputFolder, open_output
from facegeo.predict.one_euro import OneEuro
from facegeo.predict.predictor import FindPoints, Predictor
from facegeo.predict.results import Looks
from facegeo.predict.sources import Source
from facegeo.predict.video import Watched, opened, watch

Film = Callable[..., Path]


@pytest.fixture
def moving(face: Image) -> list[Image]:
    """Eleven frames, in which the face moves to the right by three pixels each."""
    frames = [np.full((96, 160, 3), 80, np.uint8) for _ in range(11)]
    for number, frame in enumerate(frames):
        frame[:, 3 * number : 3 * number + 96] = face
    return frames


class Following:
    """A detector that knows where the face of ``moving`` is, and loses it in frame 4."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, image: Image, name: str) -> Boxes:
        assert name == "clip.avi"
        left = int((np.abs(image.astype(int) - 80).max(axis=(0, 2)) > 40).argmax())
        number = round(left / 3)
        self.seen.append(number)
        boxes = np.array([[20.0 + left, 72 + left, 22, 74]])
        return boxes[:0] if number == 4 else boxes


def run(
    path: Path,
    out: OutputFolder,
    find_points: FindPoints,
    batch: int,
    smooth: OneEuro | None = None,
) -> Watched:
    predictor = Predictor(find_points, Following())
    done: list[tuple[int, int]] = []
    source = Source(path, "clip.avi")
    seen = watch(
        source, out, predictor, batch, Looks(), smooth, lambda *numbers: done.append(numbers)
    )
    assert done[-1] == (seen.frames, 11)
    return seen


def test_every_frame_is_predicted_and_drawn(
    tmp_path: Path, moving: list[Image], film: Film, find_points: FindPoints
) -> None:
    path = film(tmp_path / "clip.avi", moving)
    with open_output(tmp_path / "out") as out:
        seen = run(path, out, find_points, batch=4)
    assert seen.frames == len(seen.rows) == 11
    assert seen.fault == ""
    assert [row[:3] for row in seen.rows] == [["clip.avi", number, 0] for number in range(11)]
    nose = np.array([float(row[11]) for row in seen.rows])
    steps = np.diff(np.delete(nose, 4))
    np.testing.assert_allclose(np.delete(steps, 3), 3, atol=1)
    with opened(tmp_path / "out/clip.avi.points.mp4") as written:
        assert written.frames == 11
        assert written.rate == 25
        frame = written.read()
    assert frame is not None
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
    with open_output(tmp_path / "out") as out:
        rows = [run(path, out, find_points, batch, smooth).rows for batch in (1, 4, 16)]
    for other in rows[1:]:
        got, wanted = (np.array([r[3:] for r in some], float) for some in (other, rows[0]))
        np.testing.assert_allclose(got, wanted, atol=2e-3)


def test_a_torn_video_is_done_as_far_as_it_goes_and_told(
    tmp_path: Path, moving: list[Image], film: Film, find_points: FindPoints
) -> None:
    path = film(tmp_path / "clip.avi", moving)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with open_output(tmp_path / "out") as out:
        seen = run(path, out, find_points, batch=4)
    assert 2 < seen.frames < 9
    assert seen.fault == f"stops in the middle: {seen.frames} of 11 frames were done"
    assert (tmp_path / "out/clip.avi.json").is_file()


def test_what_is_no_video_is_refused(tmp_path: Path, find_points: FindPoints) -> None:
    (tmp_path / "clip.avi").write_bytes(b"no video")
    with (
        open_output(tmp_path / "out") as out,
        pytest.raises(UserError, match=r"clip\.avi: wanted a video, got 8 bytes that are none"),
    ):
        run(tmp_path / "clip.avi", out, find_points, batch=4)


def test_a_video_of_odd_size_loses_its_last_line(
    tmp_path: Path, face: Image, film: Film, find_points: FindPoints
) -> None:
    path = film(tmp_path / "clip.avi", [face[:95, :93]] * 2)
    predictor = Predictor(find_points, lambda image, name: np.zeros((0, 4)))
    with open_output(tmp_path / "out") as out:
        seen = watch(
            Source(path, "clip.avi"), out, predictor, 8, Looks(), None, lambda *numbers: None
        )
    assert seen.rows == []
    written = cv2.VideoCapture(str(tmp_path / "out/clip.avi.points.mp4"))
    assert written.get(cv2.CAP_PROP_FRAME_HEIGHT) == 94
    assert written.get(cv2.CAP_PROP_FRAME_WIDTH) == 92
