"""The timed ways to find points: equal points, other programs where they are installed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from facegeo.bench import cascade, peers
from facegeo.bench.cascade import BOX_PX, decode, jpeg, picture
from facegeo.bench.timing import Timing
from facegeo.landmarks.graph import StoredCascade
from facegeo.landmarks.nets import Cascade
from facegeo.predict.points import CascadePoints
from facegeo.training.model_file import load_model

ONCE = Timing(seconds=0, least=1, warm_up=0)


@pytest.fixture(scope="module")
def model() -> Cascade:
    found, _ = load_model("ccnn-lfpw")
    assert isinstance(found, Cascade)
    return found


def test_every_way_finds_the_same_points(model: Cascade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "has_onnx", lambda: False)
    monkeypatch.setattr(cascade, "peers", lambda missing: {})
    assert [case.threads for case in cascade.cpu_cases(model, [1], [1, 2], [])] == [1] * 3 + [2] * 3
    cases = list(cascade.cpu_cases(model, [3], [1], []))
    assert [case.name.split(", ")[-1] for case in cases] == ["JPEG", "pixels", "crops"]
    ours = ["loop of nets, a crop each", "cascade", "one graph"]
    for case, names in zip(cases, [ours, ours, ["loop of nets", "nets side by side"]], strict=True):
        rows = case.measure(ONCE)
        assert [row.name for row in rows] == names
        assert {row.items for row in rows} == {3}
        assert all(row.differs is not None and row.differs < 1e-3 for row in rows[1:])


def test_stored_inputs_give_the_cascades_points(model: Cascade) -> None:
    image, boxes = picture(3)
    with torch.inference_mode():
        found = StoredCascade(model)(*cascade.stored(model, image, boxes))
    low, side = torch.tensor(boxes[:, None, None, 0::2]), BOX_PX
    wanted = torch.from_numpy(CascadePoints(model)([image], [boxes])[0])
    torch.testing.assert_close((found * side + low).float(), wanted, atol=1e-3, rtol=0)


@pytest.mark.slow
def test_onnx_runtime_finds_the_same_points(
    model: Cascade, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(cascade, "peers", lambda missing: {})
    _, case, _ = cascade.cpu_cases(model, [3], [1], [])
    row = case.measure(ONCE)[-1]
    assert row.name == "one graph, ONNX Runtime"
    assert row.differs is not None
    assert row.differs < 1e-3


def test_the_faces_of_a_picture_are_inside() -> None:
    image, boxes = picture(5)
    assert boxes.shape == (5, 4)
    assert np.allclose(boxes[:, 1::2] - boxes[:, 0::2], BOX_PX)
    assert boxes.min() > 0
    assert (boxes.max(axis=0)[[1, 3]] < image.shape[1::-1]).all()
    assert decode(jpeg(image)).shape == image.shape
    assert np.abs(decode(jpeg(image)).astype(int) - image).mean() < 3


def test_missing_programs_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    missing: list[str] = []
    assert peers.peers(missing) == {}
    assert [line.split(":")[0] for line in missing] == ["dlib", "MTCNN"]
    assert "facegeo[bench]" in missing[0]


def test_a_program_without_its_files_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"dlib": SimpleNamespace(), "face_recognition_models": None, "facenet_pytorch": None}
    monkeypatch.setattr(peers, "find_spec", known.__getitem__)
    monkeypatch.setitem(sys.modules, "dlib", SimpleNamespace())
    missing: list[str] = []
    assert peers.peers(missing) == {}
    assert [line.split(":")[0] for line in missing] == [
        "dlib, 5 points",
        "dlib, 68 points",
        "MTCNN",
    ]


def test_dlib_gets_its_boxes() -> None:
    pytest.importorskip("dlib")
    found = peers.peers([])
    if "dlib, 5 points" not in found:
        pytest.skip("face_recognition_models is not installed")
    image, boxes = picture(2)
    first, second = found["dlib, 5 points"][0](image, boxes)  # type: ignore[misc]
    for shape, box in zip((first, second), boxes, strict=True):
        rect = shape.rect
        edges = (rect.left(), rect.right(), rect.top(), rect.bottom())
        assert np.allclose(edges, box, atol=1)
        assert shape.num_parts == 5
