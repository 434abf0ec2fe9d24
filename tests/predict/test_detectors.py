"""Boxes from detectors, mapped to those of the training."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.landmarks.lists import read_list
from facegeo.predict.boxes import MEAN_SHAPE, BoxMapping, overlap
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


SIDE = 64.0
"""Of the faces that the network reports, px."""


def toy_network() -> bytes:
    """A convolution a stride and output: a white cell of 8 px is a face, larger ones are not."""
    onnx = pytest.importorskip("onnx")
    helper, tensor = onnx.helper, onnx.numpy_helper
    points = ((MEAN_SHAPE - 0.5) * SIDE / 8).ravel()  # from a cell's corner, in strides
    shown = {
        "cls": np.array([0.0]),
        "obj": np.array([1.0]),
        "bbox": np.array([0.5, 0.5, np.log(SIDE / 8), np.log(SIDE / 8)]),
        "kps": points,
    }
    nodes, weights, outputs = [], [], []
    for stride in (8, 16, 32):
        for name, bias in shown.items():
            key, count = f"{name}_{stride}", len(bias)
            kernel = np.zeros((count, 3, stride, stride), np.float32)
            if key == "cls_8":
                kernel[:] = 1 / (255 * 3 * stride * stride)
            weights += [
                tensor.from_array(kernel, f"{key}_w"),
                tensor.from_array(bias.astype(np.float32), f"{key}_b"),
                tensor.from_array(np.array([1, -1, count], np.int64), f"{key}_s"),
            ]
            shape = {"kernel_shape": [stride] * 2, "strides": [stride] * 2}
            nodes += [
                helper.make_node("Conv", ["input", f"{key}_w", f"{key}_b"], [f"{key}_c"], **shape),
                helper.make_node("Transpose", [f"{key}_c"], [f"{key}_t"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{key}_t", f"{key}_s"], [key]),
            ]
            cells = (320 // stride) ** 2
            outputs.append(helper.make_tensor_value_info(key, 1, [1, cells, count]))
    image = helper.make_tensor_value_info("input", 1, [1, 3, 320, 320])
    graph = helper.make_graph(nodes, "toy", [image], outputs, weights)
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("yunet") / "toy.onnx"
    path.write_bytes(toy_network())
    return str(path)


def test_boxes_are_laid_round_its_points(model: str) -> None:
    photo = np.zeros((320, 320, 3), np.uint8)
    photo[160:168, 96:104] = 255
    photo[40:48, 240:248] = 255
    boxes = YuNet(model)(photo)
    wanted = [
        [a - SIDE / 2, a + SIDE / 2, b - SIDE / 2, b + SIDE / 2] for a, b in ((96, 160), (240, 40))
    ]
    assert sorted(overlap(boxes, np.array(wanted)).max(axis=1) > 0.95) == [True, True]


def test_photos_of_other_sizes_may_come_at_once(model: str) -> None:
    """Its network is one, and is given the size of each photo before detection."""
    detect = YuNet(model)
    shown = [(side, 32 * number) for number, side in enumerate((320, 300, 310, 290), start=1)] * 8
    photos = []
    for side, place in shown:
        photo = np.zeros((side, side, 3), np.uint8)
        photo[place : place + 8, place : place + 8] = 255
        photos.append(photo)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detect, photos))
    middles = [box[0, :2].mean() for box in found]
    np.testing.assert_allclose(middles, [place for _, place in shown], atol=2)


def test_a_photo_of_nobody_has_no_box(model: str) -> None:
    assert YuNet(model)(np.zeros((320, 320, 3), np.uint8)).shape == (0, 4)


def test_yunet_shrinks_a_large_photo(model: str) -> None:
    photo = np.zeros((960, 960, 3), np.uint8)
    photo[480:504, 288:312] = 255
    (box,) = YuNet(model, longest_px=320)(photo)
    np.testing.assert_allclose(box, np.array([64, 128, 128, 192]) * 3.0, atol=4)
