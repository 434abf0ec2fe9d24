"""Exported models in ONNX Runtime: equal answers, texts inside, and files that are not ours."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from facegeo.errors import UserError
from facegeo.export.onnx_model import OnnxCascade, OnnxNormals
from facegeo.export.parity import noise_scenes
from facegeo.landmarks.graph import CascadeGraph
from facegeo.landmarks.nets import Cascade

NEAR_PX = 1e-3


def test_any_image_and_any_number_of_faces(onnx_file: Path, cascade: Cascade) -> None:
    exported, graph = OnnxCascade(onnx_file), CascadeGraph(cascade).eval()
    for faces, scene in enumerate(noise_scenes(seed=1), start=1):
        boxes = scene.boxes[:faces]
        with torch.inference_mode():
            wanted = graph(torch.from_numpy(scene.image), torch.from_numpy(boxes)).numpy()
        got = exported(scene.image, boxes.tolist())
        assert got.shape == (faces, 2, 5, 2)
        np.testing.assert_allclose(got, wanted, atol=NEAR_PX)


def test_pixels_may_be_in_any_memory_order(onnx_file: Path) -> None:
    exported, (scene, *_) = OnnxCascade(onnx_file), noise_scenes()
    turned = scene.image.transpose(1, 0, 2).copy().transpose(1, 0, 2)
    np.testing.assert_array_equal(exported(turned, scene.boxes), exported(scene.image, scene.boxes))


def test_no_face_no_points(onnx_file: Path) -> None:
    found = OnnxCascade(onnx_file)(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 4)))
    assert found.shape == (0, 2, 5, 2)


def test_the_file_describes_its_contents(onnx_file: Path) -> None:
    model = OnnxCascade(onnx_file)
    assert json.loads(model.metadata["classes"]) == ["LE", "RE", "N", "LM", "RM"]
    assert model.metadata["precision"] == "fp32"
    assert model.metadata["card"] == "# small: a test's own"
    assert "x right, y down" in model.metadata["frame"]
    assert model.notes == {"seed": 3, "results": {"test/stage2/error_pct": 1.5}}
    assert json.loads(model.metadata["results"]) == model.notes["results"]


def test_other_files_are_refused(onnx_file: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    torn, foreign = tmp_path / "torn.onnx", tmp_path / "foreign.onnx"
    torn.write_bytes(onnx_file.read_bytes()[:500])
    model = onnx.load(onnx_file)
    del model.metadata_props[:]
    onnx.save(model, foreign)
    with pytest.raises(UserError, match=r"torn\.onnx is not a valid ONNX file"):
        OnnxCascade(torn)
    with pytest.raises(UserError, match=r"wanted a file of format 'facegeo.*, got None"):
        OnnxCascade(foreign)
    with pytest.raises(UserError, match="there is no file"):
        OnnxCascade(tmp_path / "none.onnx")
    with pytest.raises(UserError, match=r"'normals of face images', got .* 'points of"):
        OnnxNormals(onnx_file)


def test_a_missing_library_is_named(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"needs ONNX Runtime, which is not installed: pip"):
        OnnxCascade(onnx_file)


def test_an_image_of_another_kind_is_refused(onnx_file: Path) -> None:
    with pytest.raises(ValueError, match=r"uint8 of shape \(H, W, 3\), got float64 of \(9, 9, 3\)"):
        OnnxCascade(onnx_file)(np.zeros((9, 9, 3)), np.zeros((1, 4)))  # type: ignore[arg-type]
