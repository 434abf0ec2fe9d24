"""Points of a predictor are those that training and evaluation would find."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.evaluate import find_points
from facegeo.landmarks.nets import Cascade
from facegeo.landmarks.views import Augment
from facegeo.predict.photo import read_photo
from facegeo.predict.points import CascadePoints
from facegeo.training.model_file import load_model

FIXTURE = Path("tests/fixtures/landmarks")


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    model, _ = load_model("ccnn-lfpw")
    assert isinstance(model, Cascade)
    return model


def test_points_are_those_of_an_evaluation(cascade: Cascade, tmp_path: Path) -> None:
    data = LFPWDataModule(str(FIXTURE), str(tmp_path), Augment())
    faces = data.faces("test")
    found = find_points(cascade, data, "test", torch.device("cpu"))
    images = [read_photo(FIXTURE / name) for name in faces.names]
    boxes = faces.boxes.double().numpy()
    points = CascadePoints(cascade, batch=3)(images, boxes[:, None])
    wanted = found.points + faces.boxes[:, None, None, 0::2]
    got = torch.from_numpy(np.concatenate(points))
    torch.testing.assert_close(got, wanted, atol=1e-3, rtol=0)


def test_batched_and_single_results_agree(cascade: Cascade) -> None:
    find = CascadePoints(cascade)
    small = read_photo(FIXTURE / "test/000000.jpg")
    large = small.repeat(12, axis=0).repeat(12, axis=1)
    boxes = np.array([[20.0, 70, 22, 74], [25, 75, 20, 72]])
    together = find([small, large, small], [boxes, boxes[:1] * 12, boxes[:0]])
    assert [len(points) for points in together] == [2, 1, 0]
    np.testing.assert_allclose(together[0][1], find([small], [boxes[1:]])[0][0], atol=1e-3)
    np.testing.assert_allclose(together[1], find([large], [boxes[:1] * 12])[0], atol=1e-3)


def test_a_face_larger_than_any_trained_on_is_averaged_first(cascade: Cascade) -> None:
    """A fine chessboard over a large face vanishes, as it would be seen from afar."""
    small = read_photo(FIXTURE / "test/000001.jpg")
    large = small.repeat(16, axis=0).repeat(16, axis=1)
    large = large // 4 + 96
    rows, columns = np.indices(large.shape[:2]) // 8
    noisy = (large + ((rows + columns) % 2 * 180 - 90)[..., None]).astype(np.uint8)
    box = np.array([[18.0, 72, 20, 74]]) * 16
    find = CascadePoints(cascade)
    clean, found = (find([image], [box])[0] for image in (large, noisy))
    assert np.abs(clean - found).max() < 0.01 * (box[0, 1] - box[0, 0])


def test_an_image_without_faces_is_accepted(cascade: Cascade) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    (found,) = CascadePoints(cascade)([image], [np.zeros((0, 4))])
    assert found.shape == (0, 3, 5, 2)
    assert CascadePoints(cascade)([], []) == []
