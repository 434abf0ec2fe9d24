"""YuNet's file is the user's: here a network with its outputs that sees white squares as faces."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facegeo.predict.boxes import MEAN_SHAPE, overlap
from facegeo.predict.detectors import YuNet

onnx = pytest.importorskip("onnx")
SIDE = 64.0
"""Of the faces that the network reports, px."""


def toy_network() -> bytes:
    """A convolution a stride and output: a white cell of 8 px is a face, larger ones are not."""
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


def test_a_large_photo_is_shrunk_and_its_boxes_are_not(model: str) -> None:
    photo = np.zeros((960, 960, 3), np.uint8)
    photo[480:504, 288:312] = 255
    (box,) = YuNet(model, longest_px=320)(photo)
    np.testing.assert_allclose(box, np.array([64, 128, 128, 192]) * 3.0, atol=4)
