"""Boxes from detectors, mapped to those of the training."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.landmarks.lists import read_list
from facegeo.predict.boxes import BoxMapping, overlap
from facegeo.predict.detectors import HAAR_TO_TRAINING, Haar, WholeImage, YuNet
from facegeo.predict.photo import Image, read_photo

FACES = Path("tests/fixtures/landmarks")


def test_haar_finds_generated_faces_where_their_boxes_are() -> None:
    faces = read_list(FACES, "testImageList.txt")
    detect = Haar()
    best = []
    for row in range(len(faces)):
        found = detect(read_photo(faces.path(row)))
        best.append(overlap(faces.boxes[row : row + 1], found).max(initial=0))
    assert np.mean(np.array(best) > 0.6) >= 0.75  # 7 of 8 when this was written


def test_its_boxes_are_mapped(face: Image) -> None:
    own = BoxMapping(0, 0, 1)
    raw = Haar(mapping=own)(face)
    np.testing.assert_allclose(Haar()(face), HAAR_TO_TRAINING(raw))
    np.testing.assert_allclose(raw, Haar().raw(face))


def test_a_large_photo_is_shrunk_and_its_boxes_are_not(face: Image) -> None:
    large = face.repeat(8, axis=0).repeat(8, axis=1)
    small, found = Haar().raw(face), Haar(longest_px=96).raw(large)
    np.testing.assert_allclose((found + 0.5) / 8 - 0.5, small)
    assert len(small) == 1


def test_small_faces_are_left_out_if_asked(face: Image) -> None:
    assert len(Haar(smallest=1.0).raw(face)) == 0


def test_several_faces_come_largest_first(face: Image) -> None:
    photo = np.full((220, 320, 3), 90, np.uint8)
    photo[60:156, 10:106] = face
    photo[10:202, 120:312] = face.repeat(2, axis=0).repeat(2, axis=1)
    boxes = Haar()(photo)
    assert [round(np.log2((box[1] - box[0]) / (boxes[-1][1] - boxes[-1][0]))) for box in boxes] == [
        1,
        0,
    ]
    assert boxes[0, 0] > 120 > boxes[1, 1]


def test_a_whole_image_is_one_box() -> None:
    assert WholeImage()(np.zeros((10, 20, 3), np.uint8)).tolist() == [[4.5, 14.5, -0.5, 9.5]]


def test_yunet_wants_its_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"detector\.model=.*gone\.onnx: wanted YuNet's \.onnx"):
        YuNet(str(tmp_path / "gone.onnx"))
    (tmp_path / "torn.onnx").write_bytes(b"no network")
    with pytest.raises(UserError, match=r"torn\.onnx: .*got one that OpenCV refuses"):
        YuNet(str(tmp_path / "torn.onnx"))


def test_an_opencv_without_haar_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(UserError, match=r"has no Haar cascades .*opencv-python-headless<5"):
        Haar()


def test_the_largest_comes_first_in_whatever_order_opencv_finds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the cascade's file is read once for calls that follow each other."""
    made = []

    class Cascade:
        def __init__(self, file: str) -> None:
            made.append(file)

        def detectMultiScale(self, *given: object, **options: object) -> list[list[int]]:  # noqa: N802
            return [[0, 0, 30, 30], [5, 5, 60, 60], [1, 1, 40, 40]]

    monkeypatch.setattr(cv2, "CascadeClassifier", Cascade)
    detect = Haar()
    for _ in range(2):
        found = detect.raw(np.zeros((100, 100, 3), np.uint8))
        assert (found[:, 1] - found[:, 0]).tolist() == [60, 40, 30]
    assert len(made) == 1
